import type { ObjectId, PackId } from '#schemas/brand.ts';
import type { BlobFinding, Finding, ObjectKind, ObjectPlace, TreeTotals } from './object-index.ts';

const KIND_NUMBERS: Readonly<Record<ObjectKind, number>> = { commit: 1, tree: 2, blob: 3 };
const KINDS: Readonly<Record<number, ObjectKind>> = { 1: 'commit', 2: 'tree', 3: 'blob' };

const SCANNED = 1;
const BINARY = 2;
const GENERATED = 4;
const VENDORED = 8;
const LFS_POINTER = 16;

/** Lines go to the socket in pieces of about this size. */
const CHUNK_CHARACTERS = 65_536;

/** As the database gives it: bytea as Buffer, bigint as string. */
export interface PlaceRow {
  readonly id: Buffer;
  readonly kind: number;
  readonly pack: Buffer;
  readonly block_offset: string;
  readonly block_bytes: string;
  readonly place_in_block: number;
  readonly bytes: string;
}

export interface FindingRow {
  readonly id: Buffer;
  readonly kind: number;
  readonly bytes: string;
  readonly flags: number;
  readonly lines: number | null;
  readonly language: string | null;
  readonly totals: Omit<TreeTotals, 'kind'> | null;
}

export function placeOf(row: PlaceRow): ObjectPlace {
  return {
    id: row.id.toString('hex') as ObjectId, kind: KINDS[row.kind]!, pack: row.pack.toString('hex') as PackId,
    blockOffset: Number(row.block_offset), blockBytes: Number(row.block_bytes), placeInBlock: row.place_in_block, bytes: Number(row.bytes),
  };
}

export function findingOf({ flags, lines, language, totals }: FindingRow): Finding | undefined {
  if (!(flags & SCANNED)) return undefined;
  if (totals) return { kind: 'tree', files: totals.files, bytes: totals.bytes, languages: totals.languages, ...(totals.counts === undefined ? {} : { counts: totals.counts }) };
  return {
    kind: 'blob', language, lines,
    isBinary: Boolean(flags & BINARY), isGenerated: Boolean(flags & GENERATED), isVendored: Boolean(flags & VENDORED), isLfsPointer: Boolean(flags & LFS_POINTER),
  };
}

/** Objects with their findings as lines of COPY, made as they are asked for. Packs and languages stand in them by their number, from 1, in these lists, whole when the lines are. */
export function incomingRows(objects: Iterable<ObjectPlace>, findings: ReadonlyMap<ObjectId, Finding>) {
  const packs = new Numbering<string>();
  const languages = new Numbering<string>();

  function* chunks(): Generator<Buffer, void, void> {
    let lines = '';
    for (const object of objects) {
      lines += lineOf(object);
      if (lines.length < CHUNK_CHARACTERS) continue;
      yield Buffer.from(lines);
      lines = '';
    }
    if (lines !== '') yield Buffer.from(lines);
  }

  function lineOf(object: ObjectPlace): string {
    const finding = fittingOf(object, findings.get(object.id));
    const place = `\\\\x${object.id}\t${KIND_NUMBERS[object.kind]}\t${packs.of(object.pack)}\t${object.blockOffset}\t${object.blockBytes}\t${object.placeInBlock}\t${object.bytes}`;
    return `${place}\t${foundColumns(finding)}\n`;
  }

  function foundColumns(finding: Finding | undefined): string {
    if (!finding) return '0\t\\N\t\\N\t\\N';
    if (finding.kind === 'tree') return `${SCANNED}\t\\N\t\\N\t${escaped(JSON.stringify(totalsOf(finding)))}`;
    return `${flagsOf(finding)}\t${finding.language === null ? '\\N' : languages.of(finding.language)}\t${finding.lines ?? '\\N'}\t\\N`;
  }

  return { chunks, packs: () => packs.values(), languages: () => languages.values() };
}

/** An object with its finding, for a statement that takes them as JSON. */
export function fewRow(object: ObjectPlace, found: Finding | undefined): object {
  const finding = fittingOf(object, found);
  const { id, pack, blockOffset, blockBytes, placeInBlock, bytes } = object;
  const place = { id, kind: KIND_NUMBERS[object.kind], pack, block_offset: blockOffset, block_bytes: blockBytes, place_in_block: placeInBlock, bytes };
  if (finding === undefined) return { ...place, flags: 0 };
  if (finding.kind === 'tree') return { ...place, flags: SCANNED, totals: totalsOf(finding) };
  return { ...place, flags: flagsOf(finding), language: finding.language, lines: finding.lines };
}

function fittingOf({ id, kind }: ObjectPlace, finding: Finding | undefined): Finding | undefined {
  if (finding && finding.kind !== kind) throw new Error(`the finding for ${kind} ${id} is that of a ${finding.kind}`);
  return finding;
}

const totalsOf = ({ files, bytes, languages, counts }: TreeTotals) => ({ files, bytes, languages, counts });

const flagsOf = ({ isBinary, isGenerated, isVendored, isLfsPointer }: BlobFinding) =>
  SCANNED | (isBinary ? BINARY : 0) | (isGenerated ? GENERATED : 0) | (isVendored ? VENDORED : 0) | (isLfsPointer ? LFS_POINTER : 0);

/** JSON has no raw tabs and newlines; only its backslashes mean something to COPY. */
function escaped(json: string): string {
  return json.replaceAll('\\', '\\\\');
}

class Numbering<T> {
  readonly #numbers = new Map<T, number>();

  of(value: T): number {
    const known = this.#numbers.get(value);
    if (known !== undefined) return known;
    this.#numbers.set(value, this.#numbers.size + 1);
    return this.#numbers.size;
  }

  values(): T[] {
    return [...this.#numbers.keys()];
  }
}
