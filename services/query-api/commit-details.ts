import type { ObjectId } from '#schemas/brand.ts';
import { parseCommit, type Signature } from '#shared/objects/git-commit.ts';
import { ObjectDamaged, type ObjectReader } from '#shared/objects/object-reader.ts';

/** A listing shows the beginning of a message; whole ones of a megabyte exist. */
const MESSAGE_CHARS_MAX = 4_000;
const SUBJECT_CHARS_MAX = 300;
const NAME_CHARS_MAX = 300;
/** Of some 1 kB each, 20 kB at most; a commit never changes. Two pages of the largest size. */
const KEPT_MAX = 2_000;
/** Ids looked up together: one page. */
const READ_MAX = 1_000;

/** What people wrote into a commit. They can be told to forget it: no fact and no table holds it. */
export interface CommitDetails {
  readonly author: { readonly name: string; readonly email: string; readonly time: string | null } | null;
  readonly committer: { readonly name: string; readonly email: string; readonly time: string | null } | null;
  readonly subject: string;
  readonly message: string;
  readonly isMessageCut: boolean;
}

export interface CommitReader {
  /** By commit id; without those that cannot be read, which is not the listing's to judge. @throws Unavailable */
  of(ids: readonly ObjectId[]): Promise<ReadonlyMap<ObjectId, CommitDetails>>;
}

/** Reads commit objects out of the packs, each block once, and keeps the latest asked for. */
export function createCommitReader({ reader }: { readonly reader: Pick<ObjectReader, 'readMany' | 'read'> }): CommitReader {
  const kept = new Map<ObjectId, CommitDetails>();

  function keep(id: ObjectId, content: Buffer): void {
    kept.set(id, detailsOf(content));
    const oldest = kept.size > KEPT_MAX ? kept.keys().next().value : undefined;
    if (oldest !== undefined) kept.delete(oldest);
  }

  /** One damaged block must not hide the others: then one by one. */
  async function read(ids: readonly ObjectId[]): Promise<void> {
    try {
      for await (const { id, kind, content } of reader.readMany(ids)) if (kind === 'commit' && Buffer.isBuffer(content)) keep(id, content);
    } catch (error) {
      if (!(error instanceof ObjectDamaged)) throw error;
      if (ids.length === 1) return;
      const half = Math.ceil(ids.length / 2);
      await read(ids.slice(0, half));
      await read(ids.slice(half));
    }
  }

  return {
    async of(ids) {
      const wanted = [...new Set(ids)].slice(0, READ_MAX);
      const found = new Map(wanted.flatMap((id) => { const details = kept.get(id); return details === undefined ? [] : [[id, details] as const]; }));
      const missing = wanted.filter((id) => !found.has(id));
      if (missing.length > 0) await read(missing);
      for (const id of missing) {
        const details = kept.get(id);
        if (details !== undefined) found.set(id, details);
      }
      return found;
    },
  };
}

function detailsOf(content: Buffer): CommitDetails {
  const { author, committer, message } = parseCommit(content);
  const text = message.replace(/^\n+/, '');
  const subject = /^[^\n]*/.exec(text)?.[0] ?? '';
  return {
    author: personOf(author), committer: personOf(committer),
    subject: cut(subject, SUBJECT_CHARS_MAX), message: cut(text, MESSAGE_CHARS_MAX), isMessageCut: text.length > MESSAGE_CHARS_MAX,
  };
}

function personOf(signature: Signature | undefined): CommitDetails['author'] {
  if (signature === undefined) return null;
  return { name: cut(signature.name, NAME_CHARS_MAX), email: cut(signature.email, NAME_CHARS_MAX), time: signature.time?.toISOString() ?? null };
}

/** Not through the middle of a surrogate pair. */
const cut = (text: string, chars: number) => (text.length <= chars ? text : text.slice(0, chars).replace(/[\ud800-\udbff]$/, ''));
