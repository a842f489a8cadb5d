import type { Principal } from '#shared/runtime/access.ts';
import type { AuditNotes, Note } from './audit-notes.ts';

/** Looking up whose a token was may not take the connections of those who ask. */
const OWNERS_ASKED_MAX = 4;

export interface RefusalDeps {
  readonly notes: Pick<AuditNotes, 'note'>;
  /** Whose a token was that is good no longer; undefined of one that we never gave. */
  ownerOf(token: string): Promise<string | undefined>;
}

/** Notes what was refused to nobody that we know, by the name of whose token they showed, if it was somebody's once. */
export type NoteRefusal = (note: Note, token?: string) => void;

export function createNoteRefusal({ notes, ownerOf }: RefusalDeps): NoteRefusal {
  let asked = 0;
  return (note, token) => {
    if (token === undefined || asked >= OWNERS_ASKED_MAX) { notes.note(note); return; }
    asked += 1;
    void ownerOf(token).catch(() => undefined).then((id) => {
      asked -= 1;
      notes.note(id === undefined ? note : { ...note, actor: { kind: 'user', id } });
    });
  };
}

/** What was refused on a socket, to whom. `target` is kept if it is an id: whatever else stands there may be anything. */
export type RefusedOnSocket = (caller: Principal | undefined, refused: { readonly code: string; readonly status?: number; readonly target?: string; readonly token?: string | undefined }) => void;

/** Asked for before anybody said who they are, or by what nobody knows. */
export const NOT_KNOWN = { code: 'not-authenticated' } as const;

/** Of one socket, by where it came from: an entry as an answer of that code would have left. */
export function refusalsOfSocket(note: NoteRefusal, { route, network }: { readonly route: string; readonly network: string }): RefusedOnSocket {
  return (caller, { code, status = 403, target, token }) => {
    // A slip is none. As of answers: what is not there and what is hidden are refused alike.
    if (status !== 403 && status !== 404) return;
    note({ actor: caller?.actor ?? { kind: 'nobody', id: null }, address: network === '' ? null : network, route, act: 'request-refused', target: idOf(target), code }, token);
  };
}

const idOf = (target = '') => (/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(target) ? target : null);
