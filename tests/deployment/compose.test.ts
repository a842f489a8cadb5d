import Ajv from 'ajv';
import { parse } from 'yaml';
import { KNOWN_SETTINGS, parseSettings } from '#shared/runtime/settings.ts';
import { SERVICE_NAMES } from '../../services/composition.ts';
import { read } from '../architecture/source-files.ts';

type Texts = Readonly<Record<string, string>>;
interface Service {
  readonly image: string;
  readonly profiles?: readonly string[];
  readonly environment?: Texts;
  readonly command?: readonly string[];
  readonly depends_on?: Readonly<Record<string, object>>;
  readonly read_only?: boolean;
}

const SECRETS = { POSTGRES_PASSWORD: 'p1', REDIS_PASSWORD: 'r1', BLOBS_ACCESS_KEY: 'a1', BLOBS_SECRET_KEY: 's1' };
const text = read('docker-compose.yml');
const compose = parse(text, { merge: true }) as { services: Record<string, Service>; volumes: Record<string, null> };
const services = Object.entries(compose.services);
const ours = services.filter(([, { image }]) => image.startsWith('tekai-'));
const engines = ours.filter(([name]) => !['simulator', 'smoke'].includes(name));

/** `${NAME}`, `${NAME:-default}` and `${NAME:?why}`, as compose puts them in. */
const filled = (value: string, env: Texts = SECRETS) => value.replace(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind: string | undefined, more: string | undefined) => {
  const given = env[name] ?? (kind === '-' ? more : undefined);
  if (given === undefined) throw new Error(`nobody gives ${name}`);
  return given;
});
const settingsOf = ({ environment = {} }: Service) => Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, filled(value)]));

test('docker-compose.yml is as the compose specification wants it', () => {
  // Ajv knows draft 7 by its older address.
  const schema = { ...JSON.parse(read('tests/deployment/compose-spec.json')) as object, $schema: 'http://json-schema.org/draft-07/schema#' };
  const isCompose = new Ajv({ allErrors: true, unknownFormats: 'ignore' }).compile(schema);
  isCompose(compose);
  expect(isCompose.errors ?? []).toEqual([]);
});

test('every setting of it exists, and is taken by the engine as it stands there', () => {
  expect(engines.flatMap(([name, { environment = {} }]) => Object.keys(environment).filter((variable) => !KNOWN_SETTINGS.includes(variable)).map((variable) => `${name}: ${variable}`))).toEqual([]);
  for (const [, service] of engines) expect(() => parseSettings(settingsOf(service))).not.toThrow();
});

test('each service of ours runs, all of them on the same stores', () => {
  const full = engines.filter(([name, { profiles }]) => profiles?.includes('full') && name !== 'topics');
  expect(full.map(([, { command }]) => command)).toEqual(expect.arrayContaining(SERVICE_NAMES.map((name) => ['up', name])));
  expect(full).toHaveLength(SERVICE_NAMES.length);
  expect(new Set(full.map(([, service]) => JSON.stringify(settingsOf(service)))).size).toBe(1);
});

test('the small form is ours and Postgres, nothing else', () => {
  expect(services.filter(([, { profiles = ['small'] }]) => profiles.includes('small')).map(([name]) => name)).toEqual(['engine', 'postgres']);
});

test('every image is pinned; ours write to their volumes and /tmp only', () => {
  expect(services.filter(([, { image }]) => !/:\d+\.\d+(?:\.\d+)?[\w.-]*$/.test(image)).map(([name]) => name)).toEqual([]);
  expect([...read('Dockerfile').matchAll(/^FROM (\S+)/gm)].map(([, image]) => image).filter((image) => !/:\d+\.\d+\.\d+-/.test(image ?? ''))).toEqual([]);
  expect(ours.filter(([, service]) => service.read_only !== true).map(([name]) => name)).toEqual([]);
});

test('who waits for another is of a profile in which that other runs', () => {
  const profilesOf = (name: string) => compose.services[name]?.profiles ?? [];
  expect(services.flatMap(([name, { depends_on: others = {} }]) => Object.keys(others).flatMap((other) => profilesOf(name).filter((profile) => !profilesOf(other).includes(profile)).map((profile) => `${name} waits for ${other}, which is not in ${profile}`)))).toEqual([]);
});

test('.env.example names what must be given, and gives nothing', () => {
  const wanted = [...text.matchAll(/\$\{(\w+)(?::\?|\})/g)].map(([, name]) => name);
  const named = [...read('.env.example').matchAll(/^(\w+)=(.*)$/gm)];
  expect(named.map(([, name]) => name).sort()).toEqual([...new Set(wanted)].sort());
  expect(named.filter(([, , value]) => value !== '')).toEqual([]);
});

test('the gateway leads to services of it, by their names there and the port that the image opens', () => {
  const places = [...read('infra/nginx/place.conf').matchAll(/upstream (\S+)\s+\{.*?server (\S+?):(\d+) resolve/g)].map(([, name, host, port]) => ({ name, host, port }));
  expect(places).toEqual(['ingress', 'identity', 'query-api', 'notifier'].map((name) => ({ name, host: name, port: '8080' })));
  expect(places.filter(({ host }) => compose.services[host ?? ''] === undefined)).toEqual([]);
  expect(read('Dockerfile')).toMatch(/^EXPOSE 8080 8081$/m);
});
