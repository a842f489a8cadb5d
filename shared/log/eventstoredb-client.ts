import { EventStoreDBClient } from '@eventstore/db-client';

/**
 * What the client understands in a connection string. Others it would ignore, after printing the whole string with its
 * password; so they are refused here. `tlsVerifyCert` it only pretends to know; `nodePreference` stays the leader, because
 * whoever was refused an append reads the stream next, and must see why.
 */
const OPTIONS = [
  'tls', 'tlsCAFile', 'userCertFile', 'userKeyFile', 'maxDiscoverAttempts', 'discoveryInterval', 'gossipTimeout',
  'defaultDeadline', 'keepAliveInterval', 'keepAliveTimeout', 'connectionName',
];

/** With the scheme before them; as the client finds them. */
const CREDENTIALS = /^[^:]+:\/\/([^:@/?]+):([^@]+)@/;

/** `esdb://user:password@host:2113?tls=true`, several hosts with commas, or `esdb+discover://`. @throws TypeError that names no part of it that may be secret */
export function openEventstoredbClient(connectionString: string): EventStoreDBClient {
  // The client would cut it there, and read by another password than we append by.
  if (CREDENTIALS.exec(connectionString.trim())?.[2]?.includes(':') === true) throw new TypeError('the EventStoreDB connection string has a : in its password: it is written %3A');
  const behind = connectionString.trim().replace(CREDENTIALS, '');
  const unknown = optionNames(behind).filter((name) => !OPTIONS.includes(name));
  // What stands before a second @ is of a password.
  if (unknown.length > 0 && behind.includes('@')) throw new TypeError(`the EventStoreDB connection string has an unknown option, or an @ in its password: it is written %40; of options there is ${OPTIONS.join(', ')}`);
  if (unknown.length > 0) throw new TypeError(`the EventStoreDB connection string has the unknown option ${unknown.join(', ')}; there is ${OPTIONS.join(', ')}`);
  try {
    return EventStoreDBClient.connectionString(connectionString);
  } catch {
    // The client's error repeats the string.
    throw new TypeError('the EventStoreDB connection string cannot be used: wanted is something like esdb://user:password@host:2113?tls=true, and that its certificate files are there');
  }
}

/** Of what stands behind the credentials: a ? of the password begins none. */
function optionNames(behind: string): string[] {
  const [, query = ''] = behind.split('?', 2);
  return query.split('&').filter((pair) => pair !== '').map((pair) => pair.split('=')[0] ?? '');
}

export interface Credentials { readonly username: string; readonly password: string }

/** Those of the connection string; without any, a pair that only a server without users accepts. */
export function credentialsOf(connectionString: string): Credentials {
  const [, user, word] = CREDENTIALS.exec(connectionString.trim()) ?? [];
  if (user === undefined || word === undefined) return { username: 'nobody', password: 'nothing' };
  return { username: decodeURIComponent(user), password: decodeURIComponent(word) };
}
