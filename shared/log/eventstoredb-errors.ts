import { Unavailable } from '#shared/runtime/unavailable.ts';

/** The client's words for errors, as far as we tell them apart. `type` may be missing where there is no server to say it. */
interface ClientError { readonly type?: unknown; readonly code?: unknown; readonly message?: unknown }

const of = (error: unknown): ClientError => (typeof error === 'object' && error !== null ? error : {});

/** The store answered, and will answer a retry: it was busy, or another node leads now. */
const PASSING = ['timeout', 'not-leader', 'cancelled'];
/** Nobody answered, or not in time. */
const AWAY = ['unavailable', 'deadline-exceeded'];
/** gRPC's UNAVAILABLE: what connection errors carry that have no type. */
const UNAVAILABLE_CODE = 14;
/**
 * gRPC's UNKNOWN, RESOURCE_EXHAUSTED and INTERNAL without a word of the store's: of a subscription that was dropped, a connection that was
 * reset, a node that is short of memory. It is not about what was sent: names, ids and sizes are looked at before.
 */
const WORDLESS_CODES = [2, 8, 13];
/** But this one is: the log is another one, or an older one, and has no event there however often it is asked. */
const NO_SUCH_POSITION = /InvalidPosition/;
/** Said by the client itself, without type or code: no node of the cluster was found; a connection was closed under a call. */
const SAID = /^Failed to discover|Channel has been shut down|No leader info available/;

/** Whether trying again at once makes sense, whether later does, or never. */
export function kindOf(error: unknown): 'passing' | 'away' | 'denied' | 'wrong' {
  const { type, code, message } = of(error);
  if (typeof type === 'string' && PASSING.includes(type)) return 'passing';
  if (typeof message === 'string' && SAID.test(message)) return 'away';
  if ((typeof type === 'string' && AWAY.includes(type)) || code === UNAVAILABLE_CODE) return 'away';
  if (type === 'access-denied') return 'denied';
  const isWordless = (type === undefined || type === 'unknown') && WORDLESS_CODES.some((one) => one === code);
  return isWordless && !NO_SUCH_POSITION.test(String(message)) ? 'away' : 'wrong';
}

/** The error itself, or Unavailable around it when it means that EventStoreDB is away or does not let us in. */
export function asUnavailable(error: unknown): unknown {
  const kind = kindOf(error);
  if (error instanceof Unavailable || kind === 'wrong') return error;
  const { message } = of(error);
  const why = kind === 'denied' ? 'EventStoreDB refuses us: check the user, the password and the access lists' : String(message);
  return new Unavailable('event log', why, { cause: error });
}

export const typeOf = (error: unknown): unknown => of(error).type;
