import type { FollowerEntry, SnapshotLine } from '#schemas/api/followers.ts';

interface HeldRef { commit: string | null; tree: string; position: string; files: Map<string, { path: string; pathHex?: string; mode: string; blob: string }> }

/** What a client that keeps an index would hold: nothing but what it was told. */
export class ModelClient {
  #refs = new Map<string, HeldRef>();
  /** Codebases that were granted or shown: an upsert of another must not come after the beginning. */
  cursor: string | undefined;

  apply(entry: FollowerEntry): void {
    switch (entry.op) {
      case 'upsert': {
        const { path, pathHex, mode, blob } = entry;
        this.#ref(entry).files.set(pathHex ?? path, { path, ...(pathHex === undefined ? {} : { pathHex }), mode, blob });
        break;
      }
      case 'delete': this.#ref(entry).files.delete(entry.pathHex ?? entry.path); break;
      case 'ref-moved': Object.assign(this.#ref(entry), { ...entry.to, position: entry.position }); break;
      case 'ref-deleted': this.#refs.delete(`${entry.codebase}\n${entry.ref}`); break;
      case 'access-lost':
      case 'codebase-removed': for (const name of [...this.#refs.keys()]) if (name.startsWith(entry.codebase)) this.#refs.delete(name); break;
      case 'access-granted':
      case 'end': break;
      default: entry satisfies never;
    }
    this.cursor = entry.cursor;
  }

  /** The whole state from a snapshot. */
  load(lines: readonly SnapshotLine[]): void {
    this.#refs = new Map();
    let ref: HeldRef | undefined;
    for (const line of lines) {
      if (line.op === 'ref') this.#refs.set(`${line.codebase}\n${line.ref}`, ref = { commit: line.commit, tree: line.tree, position: line.position, files: new Map() });
      if (line.op === 'file') ref?.files.set(line.pathHex ?? line.path, { path: line.path, ...(line.pathHex === undefined ? {} : { pathHex: line.pathHex }), mode: line.mode, blob: line.blob });
      if (line.op === 'end') this.cursor = line.cursor;
    }
  }

  copy(): ModelClient {
    const copy = new ModelClient();
    copy.cursor = this.cursor;
    copy.#refs = new Map([...this.#refs].map(([name, ref]) => [name, { ...ref, files: new Map(ref.files) }]));
    return copy;
  }

  holds(codebase: string): boolean {
    return [...this.#refs.keys()].some((name) => name.startsWith(codebase));
  }

  /** As a snapshot at the position would have it, without its last line. */
  shown(position: string): string {
    const lines: object[] = [{ op: 'snapshot', position }];
    for (const [name, { files, commit, tree, position: at }] of [...this.#refs].sort(([left], [right]) => (left < right ? -1 : 1))) {
      const [codebase, ref] = name.split('\n');
      lines.push({ op: 'ref', codebase, ref, commit, tree, position: at });
      const bytesOf = ({ path, pathHex }: { path: string; pathHex?: string }) => (pathHex === undefined ? Buffer.from(path) : Buffer.from(pathHex, 'hex'));
      for (const file of [...files.values()].sort((left, right) => bytesOf(left).compare(bytesOf(right)))) lines.push({ op: 'file', ...file });
    }
    return lines.map((line) => JSON.stringify(line)).join('\n');
  }

  #ref({ codebase, ref }: { codebase: string; ref: string }): HeldRef {
    const name = `${codebase}\n${ref}`;
    const held = this.#refs.get(name) ?? { commit: null, tree: 'not told yet', position: 'not told yet', files: new Map() };
    this.#refs.set(name, held);
    return held;
  }
}
