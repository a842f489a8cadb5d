import type { CodebaseId } from '#schemas/brand.ts';
import type { ApiClient } from '#shared/api-client/api-client.ts';
import { ApiProblem } from '#shared/api-client/api-errors.ts';
import { EXIT, exitCodeOf } from '../exit-codes.ts';

/** Each asks GitLab once; more at once would only wait for the source's own bound. */
const REGISTRATIONS_AT_ONCE = 4;
/** A moment's fault is not the project's: tried again so often, with the pause that the engine names. */
const ATTEMPTS_MAX = 3;
const PAUSE_MS_DEFAULT = 2_000;
const PAUSE_MS_MAX = 30_000;

/** A project of GitLab that shall be followed: by its id, or only by its path where no list told the id. */
export interface Wanted { readonly path: string; readonly gitlabProject: number | string }

export type Registered =
  | { readonly kind: 'followed'; readonly path: string; readonly codebase: CodebaseId; readonly isRestored: boolean }
  | { readonly kind: 'failed'; readonly path: string; readonly reason: string };

export interface RegisterDeps {
  readonly client: Pick<ApiClient, 'addCodebase'>;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** After each. */
  onRegistered(done: number): void;
}

/**
 * Has projects followed, begun in the order given. One that the engine refuses stops no other.
 * @throws EngineUnreachable, or the ApiProblem that says that we are not let in: then none could be
 */
export async function registerProjects({ client, sleep, onRegistered }: RegisterDeps, { sourceId, wanted }: { sourceId: string; wanted: readonly Wanted[] }): Promise<Registered[]> {
  const results = new Array<Registered>(wanted.length);
  let [next, done] = [0, 0];
  const register = async (one: Wanted): Promise<Registered> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const { id, how } = await client.addCodebase({ sourceId, gitlabProject: one.gitlabProject });
        return { kind: 'followed', path: one.path, codebase: id, isRestored: how === 'restored' };
      } catch (error) {
        if (!(error instanceof ApiProblem) || exitCodeOf(error) === EXIT.notAuthenticated) throw error;
        if (attempt >= ATTEMPTS_MAX || (error.status !== 429 && error.status !== 503)) return { kind: 'failed', path: one.path, reason: error.detail };
        await sleep(Math.min(PAUSE_MS_MAX, error.retryAfterS === undefined ? PAUSE_MS_DEFAULT : error.retryAfterS * 1_000), new AbortController().signal);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(REGISTRATIONS_AT_ONCE, wanted.length) }, async () => {
    for (let at = next++; at < wanted.length; at = next++) {
      results[at] = await register(wanted[at] as Wanted);
      onRegistered(done += 1);
    }
  }));
  return results;
}
