/** How to reach Kafka, as TEKAI_KAFKA_URL says it. */
export interface KafkaConnection {
  /** `host:port`, one at least. */
  readonly brokers: readonly string[];
  readonly tls: boolean;
  /** The file of an authority to trust instead of the public ones. */
  readonly caFile: string | undefined;
  readonly sasl: KafkaLogin | undefined;
  /** What the names of our topics begin with, and of our groups. */
  readonly topics: string;
}

export interface KafkaLogin { readonly mechanism: (typeof MECHANISMS)[number]; readonly username: string; readonly password: string }

const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;
const OPTIONS = ['tls', 'sasl', 'ca', 'topics'] as const;
const PORT = '9092';
const TOPICS = 'tekai';
/** A topic's name may have 249 characters; ours add a few. */
const TOPICS_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/;

export const KAFKA_URL_EXAMPLE = 'kafka://tekai:secret@kafka-1.example.com:9092,kafka-2.example.com:9092?tls=true&sasl=scram-sha-512';

/** Every fault of a connection string at once; nothing of it that may be secret. */
export class WrongKafkaUrl extends Error {
  override readonly name = 'WrongKafkaUrl';
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(`the Kafka connection string cannot be used: ${faults.join('; ')}`);
    this.faults = faults;
  }
}

/** `kafka://user:secret@h1:9092,h2:9092?tls=true&sasl=scram-sha-512&ca=/file&topics=tekai`. Several hosts are no URL to `URL`. @throws WrongKafkaUrl */
export function parseKafkaUrl(text: string): KafkaConnection {
  const faults: string[] = [];
  const [, authority, query] = /^kafka:\/\/([^?/\s]+)\/?(?:\?(\S*))?$/.exec(text) ?? [];
  // A slash in a secret ends up here too: it must be written %2F.
  if (authority === undefined) throw new WrongKafkaUrl(['wanted is kafka://host:port, several with commas, a user before an @, options after a ?; other characters of a user or a secret as %XX']);
  const at = authority.lastIndexOf('@');
  const options = optionsOf(query ?? '', faults);
  const isTls = options.get('tls') === 'true';
  if (!['true', 'false', undefined].includes(options.get('tls'))) faults.push('tls is true or false');
  if (options.has('ca') && !isTls) faults.push('ca goes with tls=true only');
  const topics = options.get('topics') ?? TOPICS;
  if (!TOPICS_PATTERN.test(topics)) faults.push('topics is what names of topics may begin with: letters, digits, dots, dashes, 200 at most');
  const brokers = brokersOf(authority.slice(at + 1), faults);
  const sasl = loginOf({ user: at < 0 ? undefined : authority.slice(0, at), mechanism: options.get('sasl'), isTls }, faults);
  if (faults.length > 0) throw new WrongKafkaUrl(faults);
  return { brokers, tls: isTls, caFile: options.get('ca'), sasl, topics };
}

function optionsOf(query: string, faults: string[]): Map<string, string> {
  const options = new Map<string, string>();
  for (const pair of query.split('&').filter((one) => one !== '')) {
    const [name = '', ...rest] = pair.split('=');
    const value = decoded(rest.join('='));
    // What is no option of ours may be a piece of a secret: it is not repeated.
    if (!OPTIONS.some((known) => known === name)) faults.push(`it has an option that does not exist; there is ${OPTIONS.join(', ')}`);
    else if (options.has(name)) faults.push(`${name} is there twice`);
    else if (value === undefined || value === '') faults.push(`${name} has no value that can be read`);
    else options.set(name, value);
  }
  return options;
}

/** No IPv6 in brackets: kafkajs divides at the first colon. */
function brokersOf(hosts: string, faults: string[]): string[] {
  return hosts.split(',').map((host, index) => {
    const [, name, port = PORT] = /^([A-Za-z0-9._-]+)(?::(\d{1,5}))?$/.exec(host) ?? [];
    if (name === undefined || Number(port) < 1 || Number(port) > 65_535) faults.push(`broker ${index + 1} of ${hosts.split(',').length} is no host:port`);
    return `${name}:${port}`;
  });
}

function loginOf({ user, mechanism, isTls }: { user: string | undefined; mechanism: string | undefined; isTls: boolean }, faults: string[]): KafkaLogin | undefined {
  const known = MECHANISMS.find((one) => one === mechanism);
  if (mechanism !== undefined && known === undefined) faults.push(`sasl is one of ${MECHANISMS.join(', ')}`);
  if (user === undefined && mechanism !== undefined) faults.push('sasl needs a user: kafka://user:secret@host');
  if (user === undefined) return undefined;
  if (mechanism === undefined) faults.push(`a user needs sasl=${MECHANISMS.join(' or ')}`);
  if (known === 'plain' && !isTls) faults.push('sasl=plain sends the secret as it is: with tls=true only');
  const colon = user.indexOf(':');
  const [username, password] = [decoded(user.slice(0, colon)), decoded(user.slice(colon + 1))];
  if (colon < 1 || !username || !password) faults.push('before the @ stand a user and a secret: user:secret, other characters as %XX');
  return known === undefined || !username || !password ? undefined : { mechanism: known, username, password };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
