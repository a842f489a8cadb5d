/** What the network says when the server, or the way to it, is away. ENOENT is a socket file that is not there. */
const NETWORK_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN',
  'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL', 'EMFILE', 'ENFILE',
]);

const STATES: ReadonlySet<string> = new Set([
  '57P01', '57P02', '57P03', '57P05', // shut down, crashed, starting or recovering, idle session ended
  '57014', '55P03', '25P03', '25P04', // statement, lock, idle-in-transaction and transaction timeouts
  '25006', // read-only: a server that has become a replica, or a provider's answer to a full disk
  '28000', '28P01', // refused login: a password being rotated; no statement was even read
  '58030', // the server's disk answers with an I/O error
]);

/** 08: the connection broke. 53: out of disk, memory or connections. */
const CLASSES: readonly string[] = ['08', '53'];

/** Of a replica, by the code of a serialization failure: it needed to go on, and the read stood in its way. */
const IN_THE_WAY = /conflict with recovery/;

/** pg, pg-pool and knex give these no code. */
const MESSAGES = /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout (expired|exceeded)|Query read timeout|Knex: Timeout acquiring)/;

/**
 * Whether the database is away (wait and try again, for as long as it takes) rather than the statement wrong.
 * False for 40001 and 40P01 (serialization, deadlock): there the database is well; run the transaction again at once.
 */
export function isUnavailable(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  // By shape, not by instanceof: errors of node:net are of another realm than the code in a test runner's sandbox.
  const { name, message, code, syscall, errors } = error as Partial<NodeJS.ErrnoException & AggregateError>;
  if (name === 'Unavailable') return true;
  // A host name with several addresses fails as all of them together.
  if (Array.isArray(errors) && errors.length > 0) return errors.every(isUnavailable);

  if (typeof code !== 'string') return MESSAGES.test(message ?? '');
  if (code === 'ENOENT') return syscall === 'connect';
  if (IN_THE_WAY.test(message ?? '')) return true;
  return NETWORK_CODES.has(code) || STATES.has(code) || (/^[0-9A-Z]{5}$/.test(code) && CLASSES.includes(code.slice(0, 2)));
}
