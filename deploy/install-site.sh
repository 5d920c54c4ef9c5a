#!/bin/sh
# Installs the agent of a site as a systemd service, or upgrades it, or removes it. Run it again at any time: it
# changes what differs and nothing else. The token is read from standard input, so that no list of processes shows it:
#
#   printf %s 'jwt_agent_…' | sudo sh deploy/install-site.sh --url https://bridge.example.com
#   sudo sh deploy/install-site.sh                        an upgrade: token and settings stay as they are
#   sudo sh deploy/install-site.sh --uninstall [--purge]  the spool stays unless --purge is given
#
# docs/install.md says what lies where.
set -eu
umask 022

here=$(cd "$(dirname "$0")" && pwd -P)
root='' url='' source=$here/.. python=python3 mode=install separate='' purge=''

usage() {
  cat <<'TEXT'
usage: install-site.sh [--url URL] [--from WHEEL_OR_CHECKOUT] [--python PROGRAM] [--separate-jobs] [--root DIR] <TOKEN
       install-site.sh --uninstall [--purge] [--root DIR]

  --url URL         the address of the bridge, or of any Orvanta; needed at the first install
  --from WHAT       what to install (the checkout that this script lies in)
  --python PROGRAM  Python 3.11 or newer (python3)
  --separate-jobs   jobs run as the account orvanta-jobs, the agent as root with few rights (docs/securing-a-site.md)
  --root DIR        install below DIR, for an image: nothing is started, and no account is made
  --purge           with --uninstall: the spool too, with all that has not left the site
TEXT
}

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    --url | --from | --python | --root) [ $# -gt 1 ] || { usage >&2; exit 2; } ;;
  esac
  case $1 in
    --url) url=$2; shift ;;
    --from) source=$2; shift ;;
    --python) python=$2; shift ;;
    --root) root=$2; shift ;;
    --separate-jobs) separate=yes ;;
    --uninstall) mode=uninstall ;;
    --purge) purge=yes ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done

case $root in
  '' | /*) ;;
  *) root=$PWD/$root ;;
esac
unit=orvanta-agent
opt=$root/opt/orvanta
etc=$root/etc/orvanta
units=$root/etc/systemd/system
drop_in=$units/$unit.service.d/jobs-of-their-own.conf

by_hand() {
  cat >&2 <<TEXT
There is no systemd here, so nothing was installed. By hand, as the user that the agent is to run as:
  $python -m venv ./orvanta && ./orvanta/bin/pip install $source
  MODE=agent AGENT_TOKEN_FILE=FILE BASE_INTERNAL_URL=${url:-URL} ./orvanta/bin/orvanta-agent --spool ./spool
TEXT
  exit 1
}

check() {
  if [ -z "$root" ]; then
    [ -d /run/systemd/system ] || by_hand
    [ "$(id -u)" = 0 ] || die "install-site.sh needs root: sudo sh $0 …"
  fi
}

write() {  # write FILE MODE <TEXT: in one step, and only where it differs; never in a pipe, which would lose `changed`
  mkdir -p "$(dirname "$1")"
  (umask 077 && cat >"$1.new")
  chmod "$2" "$1.new"
  if cmp -s "$1.new" "$1"; then
    chmod "$2" "$1"
    rm "$1.new"
  else
    mv "$1.new" "$1"
    changed=yes
  fi
}

check_input() {  # before anything is changed
  token=''
  [ -t 0 ] || token=$(cat)
  case $token in
    '') [ -e "$etc/agent.token" ] || die "the agent's token is missing: printf %s 'jwt_agent_…' | sh $0 --url URL" ;;
    jwt_agent_*.*.*) ;;
    *) die "what came in is no agent token (jwt_agent_ and three parts with dots); nothing was changed." ;;
  esac
  case $url in
    '') [ -e "$etc/agent.env" ] || die "the bridge's address is missing: --url https://bridge.example.com" ;;
    http://?* | https://?*) ;;
    *) die "--url must be an http:// or https:// address, not $url; nothing was changed." ;;
  esac
}

settings_in() {  # the address as it was said; every other line stays
  if [ -n "$token" ]; then
    write "$etc/agent.token" 600 <<TEXT
$token
TEXT
  fi
  [ -n "$url" ] || return 0
  others='# ORVANTA_OPTIONS=--slots 4'
  [ ! -e "$etc/agent.env" ] || others=$(grep -v '^BASE_INTERNAL_URL=' "$etc/agent.env" || true)
  write "$etc/agent.env" 644 <<TEXT
BASE_INTERNAL_URL=$url
$others
TEXT
}

venv() {
  "$python" -m venv "$1" || die "$python makes no virtual environments: apt-get install python3-venv, or name another"
}

wheel_in() {  # wheel_in FOLDER: sets $wheel
  case $source in
    *.whl) wheel=$source ;;
    *)
      venv "$1/pip"  # a system's Python may have no pip
      "$1/pip/bin/python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$1" "$source" ||
        die "no wheel could be built of $source; what ran before runs on."
      wheel=$(echo "$1"/*.whl)
      ;;
  esac
}

home_made() {  # under the path that it will have: --root is no part of that
  venv "$home"
  "$home/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel" || return 1
  for program in "$home"/bin/orvanta-*; do
    sed -i "1,3s|$root/opt/orvanta|/opt/orvanta|" "$program"
  done
  : >"$home/whole"
}

# Each release has a folder of its own, and `current` names one: the old one runs until the new one is whole.
programs_in() {
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "$python is older than Python 3.11; name another with --python"
  mkdir -p "$opt"
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  wheel_in "$folder"
  release=$(basename "$wheel" | cut -d- -f2)-$(cksum <"$wheel" | cut -d' ' -f1)
  home=$opt/$release
  if [ ! -e "$home/whole" ]; then
    rm -rf "$home"
    home_made || { rm -rf "$home"; die "it could not be installed; what ran before runs on."; }
  fi
  if [ "$(readlink "$opt/current" 2>/dev/null)" != "$release" ]; then
    ln -sfn "$release" "$opt/current.new"
    mv -T "$opt/current.new" "$opt/current"
    changed=yes
  fi
}

forget_older() {  # only now: a program imports from its folder for as long as it runs
  for old in "$opt"/*-*; do
    [ "$old" = "$home" ] || rm -rf "$old"
  done
}

unit_in() {
  write "$units/$unit.service" 644 <"$here/systemd/$unit.service"
  if [ -n "$separate" ]; then
    [ -n "$root" ] || id orvanta-jobs >/dev/null 2>&1 ||
      useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin orvanta-jobs
    write "$drop_in" 644 <"$here/systemd/jobs-of-their-own.conf"
  fi
}

install_it() {
  changed=''
  check_input
  programs_in
  settings_in
  unit_in
  if [ -z "$root" ]; then
    systemctl daemon-reload
    systemctl enable --quiet "$unit"
    if [ -n "$changed" ]; then systemctl restart "$unit"; else systemctl start "$unit"; fi
    say "$unit runs; see it with: $opt/current/bin/orvanta-agent status --spool /var/lib/$unit"
  fi
  forget_older
  [ -n "$changed" ] || say "everything was as it should be."
}

uninstall_it() {
  if [ -z "$root" ] && [ -e "$units/$unit.service" ]; then
    systemctl disable --now --quiet "$unit"
  fi
  rm -rf "$units/$unit.service" "$units/$unit.service.d" "$opt"
  rm -f "$etc/agent.token" "$etc/agent.env"
  rmdir "$etc" 2>/dev/null || true
  if [ -z "$root" ]; then
    systemctl daemon-reload
    if [ -n "$purge" ] && id orvanta-jobs >/dev/null 2>&1; then userdel orvanta-jobs; fi
  fi
  spool=$root/var/lib/$unit
  if [ -n "$purge" ]; then
    rm -rf "$spool" "$root/var/lib/private/$unit"
  elif [ -e "$spool" ]; then
    say "the spool stays in $spool, with what has not left the site; --uninstall --purge removes it."
  fi
}

check
if [ "$mode" = install ]; then install_it; else uninstall_it; fi
