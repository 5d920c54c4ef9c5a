// Runs inside a JavaScript or TypeScript job: calls `main`, writes `result.json` (agent-api.md 7.4).
// Copied into the job's directory; node 18 and newer, bun and deno must be able to run it.
import { Buffer } from "node:buffer";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import modules, { createRequire } from "node:module";
import process from "node:process";

const SKIPPED = /\/\/[^\n]*|\/\*[^]*?\*\/|"(?:\\[^]|[^"\\])*"|'(?:\\[^]|[^'\\])*'|`(?:\\[^]|[^`\\])*`/g;
const NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]*/u;
const ENTRY = process.env.MAIN_OVERRIDE || "main";

// The text between the parenthesis at `from` and the one that closes it, cut at its commas.
function pieces(text, from) {
  const found = [];
  let depth = 0;
  for (let at = from, begin = from; at < text.length; at++) {
    const char = text[at];
    if (depth === 0 && (char === "," || char === ")")) {
      found.push(text.slice(begin, at).trim());
      begin = at + 1;
      if (char === ")") break;
    } else if ("([{".includes(char)) depth++;
    else if (")]}".includes(char)) depth--;
  }
  return found.filter(Boolean);
}

function bare(text) {
  return text.replace(SKIPPED, (found) => (found[0] === "/" ? " " : "0"));
}

function parameters(main) {
  const text = bare(main.toString());
  const only = /^\s*(?:async\s+)?([\p{ID_Start}$_][\p{ID_Continue}$]*)\s*=>/u.exec(text);
  return only ? [only[1]] : pieces(text, text.indexOf("(") + 1);
}

// JSON has no dates: they arrive as text, and the annotation tells.
function isDate(source, name) {
  const head = bare(source).split(new RegExp(`\\b${ENTRY.replaceAll("$", "\\$")}\\b`)).slice(1).join(" ");
  return new RegExp(`[(,]\\s*${name.replaceAll("$", "\\$")}\\s*\\??\\s*:\\s*Date\\b(?!\\s*\\[)`).test(head);
}

// What to call `main` with, in the order of its parameters. What is missing is undefined, so that defaults count.
function chosen(main, given, source) {
  const named = parameters(main);
  return named.flatMap((piece) => {
    if (piece.startsWith("...")) return given[NAME.exec(piece.slice(3))?.[0]] ?? [];
    const name = NAME.exec(piece)?.[0];
    if (name === undefined) return [named.length === 1 ? given : undefined]; // one that takes all apart
    const value = given[name];
    if (typeof value !== "string" || !isDate(source, name)) return [value];
    const date = new Date(value);
    return [Number.isNaN(date.getTime()) ? value : date];
  });
}

// What JSON does not know: bytes as base64, large whole numbers as text, maps and sets as what they hold.
function storable(key, value) {
  const raw = this[key];
  if (raw instanceof Uint8Array) return Buffer.from(raw).toString("base64");
  if (raw instanceof Map) return Object.fromEntries(raw);
  if (raw instanceof Set) return [...raw];
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (typeof value === "string") {
    const text = value.includes("\0") ? value.replaceAll("\0", "null") : value;
    return text.isWellFormed?.() === false ? text.toWellFormed() : text;
  }
  return value === undefined || typeof value === "function" || typeof value === "symbol" ? null : value;
}

function isStream(value) {
  if (value === null || typeof value !== "object") return false;
  return typeof value[Symbol.asyncIterator] === "function" || typeof value.next === "function";
}

// Show a generator's chunks as they come; together they are the result.
async function streamed(chunks) {
  const texts = [];
  for await (const chunk of chunks) {
    const text = String(chunk);
    texts.push(text);
    console.log("WM_STREAM: " + text.replaceAll("\n", "\\n"));
  }
  return texts.join("");
}

async function read(value) {
  if (isStream(value)) return streamed(value);
  if (isStream(value?.wm_stream)) return { ...value, wm_stream: await streamed(value.wm_stream) };
  return value;
}

function errorObject(error) {
  const lines = String(error?.stack ?? "").split("\n");
  const stack = lines.filter((line) => !/wrapper\.mjs|strip\.mjs|node:internal/.test(line)).join("\n");
  const found = { message: String(error?.message ?? error), name: String(error?.name ?? "Error"), stack };
  const own = error instanceof Error ? Object.entries(error) : [];
  const extra = own.filter(([name]) => !["message", "name", "stack"].includes(name));
  if (extra.length) found.extra = Object.fromEntries(extra);
  if (process.env.WM_FLOW_STEP_ID) found.step_id = process.env.WM_FLOW_STEP_ID;
  return found;
}

function end(code, value) {
  writeFileSync("result.json", JSON.stringify(value, storable));
  process.exit(code); // whatever the script left open
}

function fail(error) {
  const found = errorObject(error);
  console.error(found.stack || `${found.name}: ${found.message}`);
  try {
    end(1, found);
  } catch {
    delete found.extra; // it goes round in circles
    end(1, found);
  }
}

// The module of the script. Its lines stay where they are, so that a stack names the ones that were written.
async function load(source) {
  if (!existsSync("strip.mjs")) return import(new URL("main.ts", import.meta.url).href);
  if (existsSync("hooks.mjs")) modules.register?.(new URL("hooks.mjs", import.meta.url));
  const { transform } = await import("./strip.mjs");
  const options = { transforms: ["typescript"], disableESTransforms: true, production: true };
  let code;
  try {
    code = transform(source, options).code;
  } catch (error) {
    throw new SyntaxError(String(error.message).replace(/^Error transforming [^:]*: /, ""));
  }
  writeFileSync("main.mjs", code);
  return import(new URL("main.mjs", import.meta.url).href);
}

process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);
globalThis.require ??= createRequire(import.meta.url);
try {
  const source = readFileSync("main.ts", "utf8");
  const main = (await load(source))[ENTRY];
  if (typeof main !== "function") {
    throw new TypeError(`the script exports no function ${ENTRY}; write: export async function ${ENTRY}(...)`);
  }
  const given = JSON.parse(readFileSync("args.json", "utf8"));
  end(0, await read(await main(...chosen(main, given, source))));
} catch (error) {
  fail(error);
}
