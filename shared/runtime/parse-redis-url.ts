/** How to reach Redis, as TEKAI_REDIS_URL says it. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Its number. */
  readonly database: number;
  readonly tls: boolean;
  /** The file of an authority to trust instead of the public ones. */
  readonly caFile: string | undefined;
}

const PORT = 6379;
/** Redis has 16 unless it is told otherwise; three digits are more than anybody made. */
const DATABASE_PATTERN = /^\/(\d{1,3})?$/;

export const REDIS_URL_EXAMPLE = 'rediss://tekai:secret@redis.example.com:6380/0?ca=/etc/tekai/redis-ca.pem';

/** Nothing of the URL is in the message: it may be secret. */
export class WrongRedisUrl extends Error {
  override readonly name = 'WrongRedisUrl';
}

/** `redis://user:secret@host:6379/0`, with TLS `rediss://…?ca=/file`. @throws WrongRedisUrl */
export function parseRedisUrl(text: string): RedisAddress {
  if (!URL.canParse(text)) throw new WrongRedisUrl('wanted is redis://host:port or rediss://host:port; before an @ a user and a secret, other characters of them as %XX');
  const url = new URL(text);
  const isTls = url.protocol === 'rediss:';
  if (!isTls && url.protocol !== 'redis:') throw new WrongRedisUrl('it begins with redis:// or, for TLS, rediss://');
  if (url.hostname === '') throw new WrongRedisUrl('it names no host');
  const [, database = '0'] = DATABASE_PATTERN.exec(url.pathname || '/') ?? refuse('behind the host stands at most the number of a database');
  for (const name of url.searchParams.keys()) if (name !== 'ca') refuse('it has an option that does not exist; there is ca');
  const caFile = url.searchParams.get('ca') ?? undefined;
  if (caFile !== undefined && (!isTls || caFile === '')) refuse('ca names a file, and goes with rediss:// only');
  // In brackets only within a URL.
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(url.port || PORT), username: decoded(url.username), password: decoded(url.password), database: Number(database), tls: isTls, caFile };
}

function decoded(text: string): string | undefined {
  try {
    return text === '' ? undefined : decodeURIComponent(text);
  } catch {
    return refuse('in its user or secret a % is not followed by two digits: it is written %25');
  }
}

function refuse(fault: string): never {
  throw new WrongRedisUrl(fault);
}
