import type { ObjectId } from '#schemas/brand.ts';

export interface Signature {
  readonly name: string;
  readonly email: string;
  /** Undefined when the commit gives none that can be read. */
  readonly time: Date | undefined;
  /** Minutes east of Greenwich, as written. */
  readonly offsetMinutes: number;
}

export interface Commit {
  /** Undefined only in a commit that is damaged. */
  readonly tree: ObjectId | undefined;
  readonly parents: readonly ObjectId[];
  readonly author: Signature | undefined;
  readonly committer: Signature | undefined;
  readonly message: string;
  /** As the commit names it; undefined means UTF-8. */
  readonly encoding: string | undefined;
}

const ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const HEADER_NAMES = new Set(['tree', 'parent', 'author', 'committer', 'encoding']);
/** 8,640,000,000,000 s: beyond, a Date is invalid. Commits with such times exist. */
const TIME_SECONDS_MAX = 8.64e12;

/**
 * What people wrote into a commit. Never throws: history holds commits of every tool there ever was. What cannot be read is
 * undefined; unknown headers and signatures (gpgsig, mergetag) are passed over; bytes that are not text become U+FFFD.
 */
export function parseCommit(commit: Buffer): Commit {
  const blank = endOfHeaders(commit);
  const headers = headersOf(commit.toString('latin1', 0, blank));
  const encoding = headers.find(({ name }) => name === 'encoding')?.value;
  const text = decoderFor(encoding);
  const first = (wanted: string) => headers.find(({ name }) => name === wanted)?.value;
  const tree = first('tree');
  return {
    tree: tree !== undefined && ID.test(tree) ? tree as ObjectId : undefined,
    parents: headers.filter(({ name, value }) => name === 'parent' && ID.test(value)).map(({ value }) => value as ObjectId),
    author: signatureOf(first('author'), text),
    committer: signatureOf(first('committer'), text),
    message: text(commit.subarray(blank + 2)),
    encoding,
  };
}

/** Where the empty line begins; the end of the commit when it has none, and so no message. */
function endOfHeaders(commit: Buffer): number {
  if (commit[0] === 0x0a) return -1;
  const at = commit.indexOf('\n\n');
  return at < 0 ? commit.length : at;
}

/** Lines that begin with a space continue the header before them: signatures and merged tags, which nobody asks for. */
function headersOf(text: string): { name: string; value: string }[] {
  return text.split('\n').flatMap((line) => {
    const space = line.indexOf(' ');
    const name = line.slice(0, space);
    return space > 0 && HEADER_NAMES.has(name) ? [{ name, value: line.slice(space + 1) }] : [];
  });
}

/** `Name <email> 1700000000 +0100`, or what is left of it. */
function signatureOf(line: string | undefined, text: (bytes: Buffer) => string): Signature | undefined {
  if (line === undefined) return undefined;
  const decoded = (part: string) => text(Buffer.from(part, 'latin1')).trim();
  const open = line.indexOf('<');
  const close = line.lastIndexOf('>');
  if (open < 0 || close < open) return { name: decoded(line), email: '', time: undefined, offsetMinutes: 0 };
  const when = /^\s*(-?\d{1,16})(?:\s+([+-])(\d{1,4}))?/.exec(line.slice(close + 1));
  const seconds = when ? Number(when[1]) : Number.NaN;
  return {
    name: decoded(line.slice(0, open)),
    email: decoded(line.slice(open + 1, close)),
    time: Math.abs(seconds) <= TIME_SECONDS_MAX ? new Date(seconds * 1_000) : undefined,
    offsetMinutes: offsetOf(when?.[2], when?.[3]),
  };
}

function offsetOf(sign: string | undefined, digits: string | undefined): number {
  if (digits === undefined) return 0;
  const minutes = Math.floor(Number(digits) / 100) * 60 + Number(digits) % 100;
  return sign === '-' && minutes > 0 ? -minutes : minutes;
}

function decoderFor(encoding: string | undefined): (bytes: Buffer) => string {
  try {
    const decoder = new TextDecoder(encoding ?? 'utf-8', { ignoreBOM: true });
    return (bytes) => decoder.decode(bytes);
  } catch {
    // A label that nobody knows: UTF-8, as git shows it.
    return (bytes) => bytes.toString('utf8');
  }
}
