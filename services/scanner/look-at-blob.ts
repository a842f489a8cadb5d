import type { BlobFinding } from '#shared/objects/object-index.ts';
import { languageOf } from './language.ts';

/** What git itself looks at to tell binary from text: a NUL among the first 8,000 bytes. */
const BINARY_LOOK_BYTES = 8_000;
const NEWLINE = 0x0a;
/** An LFS pointer is a few lines; the specification keeps it under 1,024 bytes. */
const LFS_POINTER_BYTES_MAX = 1_024;
const LFS_POINTER_START = 'version https://git-lfs.github.com/spec/v1\n';

const GENERATED = [/\.min\.(js|css)$/i, /(^|\/)(package-lock\.json|yarn\.lock|pnpm-lock\.yaml|Cargo\.lock|composer\.lock|Gemfile\.lock|poetry\.lock|go\.sum)$/, /\.pb\.(go|cc|h)$/, /_pb2(_grpc)?\.py$/, /\.(js|css)\.map$/, /\.designer\.cs$/i, /\.g\.(cs|dart)$/];
const VENDORED = /(^|\/)(node_modules|vendor|third[_-]party|bower_components|Godeps|Pods)\//;

/** What a blob is. `path` is where it was met first in this sync; the same bytes elsewhere are not looked at again. */
export async function lookAtBlob(path: string, bytes: number, content: Buffer | AsyncIterable<Buffer>): Promise<BlobFinding> {
  const { lines, isBinary, start } = Buffer.isBuffer(content) ? countLines([content]) : await countLinesOf(content);
  return {
    kind: 'blob',
    language: isBinary ? null : languageOf(path.slice(path.lastIndexOf('/') + 1)),
    lines: isBinary ? null : lines,
    isBinary,
    isGenerated: GENERATED.some((pattern) => pattern.test(path)),
    isVendored: VENDORED.test(path),
    isLfsPointer: bytes < LFS_POINTER_BYTES_MAX && start.toString('latin1').startsWith(LFS_POINTER_START),
  };
}

interface Counted { lines: number; isBinary: boolean; start: Buffer }

function countLines(pieces: readonly Buffer[]): Counted {
  const state: Counted = { lines: 0, isBinary: false, start: Buffer.alloc(0) };
  let last = NEWLINE;
  for (const piece of pieces) last = take(state, piece, last);
  return { ...state, lines: state.lines + (last === NEWLINE ? 0 : 1) };
}

async function countLinesOf(pieces: AsyncIterable<Buffer>): Promise<Counted> {
  const state: Counted = { lines: 0, isBinary: false, start: Buffer.alloc(0) };
  let last = NEWLINE;
  for await (const piece of pieces) last = take(state, piece, last);
  return { ...state, lines: state.lines + (last === NEWLINE ? 0 : 1) };
}

function take(state: Counted, piece: Buffer, last: number): number {
  if (state.start.length < BINARY_LOOK_BYTES) {
    const more = piece.subarray(0, BINARY_LOOK_BYTES - state.start.length);
    // Most blobs are one piece: nothing to join, nothing to copy.
    state.start = state.start.length === 0 ? more : Buffer.concat([state.start, more]);
    state.isBinary = state.start.includes(0);
  }
  if (state.isBinary) return last;
  for (let at = piece.indexOf(NEWLINE); at >= 0; at = piece.indexOf(NEWLINE, at + 1)) state.lines += 1;
  return piece.at(-1) ?? last;
}
