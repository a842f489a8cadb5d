import type { Logger } from '#shared/runtime/logger.ts';
import { Problem } from '#shared/runtime/problem.ts';
import type { Settings } from '#shared/runtime/settings.ts';
import type { CodebaseSummary } from '#schemas/api/codebases.ts';
import type { VerifyRequest } from './cli/cli.ts';
import { findCodebase } from './cli/find-named.ts';
import { openBeside, type BesideEngine } from './composition-beside.ts';

export interface VerifyOptions {
  readonly settings: Settings;
  readonly request: VerifyRequest;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** The answer. */
  print(text: string): void;
  /** Remarks for people, beside it. */
  note(text: string): void;
}

/** How often a person hears how far it is. */
const TELL_EVERY_MS = 2_000;
const EXIT_DAMAGED = 1;
const CODEBASES_AT_ONCE = 1_000;

type Verdict = Awaited<ReturnType<BesideEngine['verifyVersion']>>;

/** Resolves to the exit code: 0 only when every object of the version is what its id says. @throws when a store is away, or there is no such version */
export async function runVerify({ settings, request, logger, signal, print, note }: VerifyOptions): Promise<number> {
  const began = performance.now();
  let told = began;
  const seconds = () => Number(((performance.now() - began) / 1_000).toFixed(1));
  const beside = await openBeside({ settings, logger, signal });
  try {
    const { id, path } = await findCodebase({ codebases: (options) => namesOf(beside, options?.state) }, request.codebase);
    const { version } = await beside.resolve(id, request).catch((error: unknown) => { throw error instanceof Problem ? new Error(error.detail) : error; });
    const verdict = await beside.verifyVersion({ commit: version.commit, tree: version.tree! }, ({ commits, trees, blobs, bytes }) => {
      if (performance.now() - told < TELL_EVERY_MS) return;
      told = performance.now();
      note(`${(commits + trees + blobs).toLocaleString('en')} objects, ${bytes.toLocaleString('en')} bytes\n`);
    });
    const { ref, commit, tree } = version;
    print(request.json ? `${JSON.stringify({ codebase: id, path, ref, commit, tree, ...verdict, seconds: seconds() }, null, 2)}\n`
      : `${inWords(verdict, `${path ?? id} ${ref} at ${commit ?? 'no commit'}`)} (${seconds()} s)\n`);
    return verdict.kind === 'good' ? 0 : EXIT_DAMAGED;
  } finally {
    await beside.close();
  }
}

function inWords(verdict: Verdict, what: string): string {
  const { commits, trees, blobs, bytes } = verdict;
  const counted = `${commits} commits, ${trees.toLocaleString('en')} trees and ${blobs.toLocaleString('en')} blobs, ${bytes.toLocaleString('en')} bytes`;
  if (verdict.kind === 'good') return `${what} is whole: ${counted} were read from the packs, and each hashes to its id.`;
  const { object, objectKind, path, pack, detail } = verdict.damage;
  return [`${what} is DAMAGED`, `  ${objectKind} ${object}`, `  path ${path === '' ? '(none: it is at the root)' : path}`, `  pack ${pack ?? 'unknown'}`, `  ${detail}`, `Before it ${counted} were good.`].join('\n');
}

/** As the client of the API gives them; names and ids are all that is asked for here. */
async function* namesOf({ store }: BesideEngine, state: string | undefined): AsyncGenerator<CodebaseSummary, void, void> {
  for (let after = ''; ;) {
    const some = await store.codebases({ after, limit: CODEBASES_AT_ONCE, states: state === 'removed' ? ['removed'] : ['active', 'archived'] });
    for (const { id, path } of some) yield { id, path } as CodebaseSummary;
    if (some.length < CODEBASES_AT_ONCE) return;
    after = some.at(-1)!.id;
  }
}
