// Runs inside a JavaScript or TypeScript job of node: finds what it imports of its workspace, and packages by a
// name with a version in it, such as "zod@3.23.8". Their types are taken out as the script's own are.
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";

const HERE = new URL("./", import.meta.url).href;
const OWN = process.env.WM_JOB_PATH || "script"; // from which ./other counts
const SUFFIX = /\.[cm]?[jt]sx?$/;
const PACKAGE = /^(?:npm:)?((?:@[\w.~-]+\/)?[\w~][\w.~-]*)(?:@[^/\s]+)?(\/.*)?$/;

function ofWorkspace(name, parent) {
  let found;
  if (/^\/[fu]\//.test(name)) found = new URL(name.slice(1), HERE).href;
  else if (/^\.\.?\//.test(name) && parent?.startsWith(HERE)) {
    const place = parent.slice(HERE.length);
    found = new URL(name, HERE + (/^main\.m?[jt]s$/.test(place) ? OWN : place)).href;
  } else return null;
  const file = `${found.replace(SUFFIX, "")}.ts`;
  return existsSync(new URL(file)) ? file : null;
}

export async function resolve(name, context, next) {
  const script = ofWorkspace(name, context.parentURL);
  if (script !== null) return { url: script, format: "module", shortCircuit: true };
  const plain = PACKAGE.exec(name);
  return next(plain === null ? name : plain[1] + (plain[2] ?? ""), context);
}

export async function load(url, context, next) {
  if (!url.startsWith(HERE) || !url.endsWith(".ts")) return next(url, context);
  const { transform } = await import("./strip.mjs");
  const options = { transforms: ["typescript"], disableESTransforms: true, production: true };
  const { code } = transform(readFileSync(new URL(url), "utf8"), options);
  return { format: "module", source: code, shortCircuit: true };
}
