import { readFileSync } from 'node:fs';
import path from 'node:path';
import { CliError, EXIT } from './exit-codes.ts';
import { keptSignIn } from './sign-in-file.ts';

export type Env = Readonly<Record<string, string | undefined>>;

export interface ConnectionFlags { readonly url?: string; readonly tokenFile?: string }

export interface Connection {
  readonly url: string;
  /** Undefined: none was found. The engine may still be down, which is then the better message. */
  readonly token: string | undefined;
  /** Where a token was looked for, for who is told that it is missing or wrong. */
  readonly tokenFrom: string;
}

const PORT_DEFAULT = '8080';
/** The file that the engine makes at its first start. */
const TOKEN_FILE = 'access-token';

/** Where the engine is and who we are: flags, then TEKAI_URL and TEKAI_TOKEN, then who signed in, then what an engine on this machine would have. @throws CliError */
export function connectionOf({ url, tokenFile }: ConnectionFlags, env: Env): Connection {
  const address = url === undefined ? addressFromEnv(env) : checked(url, { name: '--url', exitCode: EXIT.usage });
  if (tokenFile !== undefined) return { url: address, token: secretFromFile(tokenFile), tokenFrom: `the file ${tokenFile}` };
  const token = secretFromEnv(env, 'TEKAI_TOKEN');
  if (token !== undefined) return { url: address, token, tokenFrom: given(env, 'TEKAI_TOKEN_FILE') === undefined ? 'TEKAI_TOKEN' : 'the file that TEKAI_TOKEN_FILE names' };
  const kept = keptSignIn(env, address);
  if (kept !== undefined) return { url: address, token: kept.token, tokenFrom: `what "tekai login ${kept.name}" has kept, which is good until ${kept.expiresAt.slice(0, 10)}` };
  const keysDir = given(env, 'TEKAI_KEYS_DIR') ?? given(env, 'TEKAI_STATE_DIR');
  const file = path.resolve(keysDir ?? '.tekai', TOKEN_FILE);
  // The token of the engine on this machine is nobody else's business: another host gets it only when somebody says so.
  if (keysDir === undefined && !isThisMachine(address)) return { url: address, token: undefined, tokenFrom: 'TEKAI_TOKEN and --token-file (neither is given, and .tekai is only for an engine on this machine)' };
  return { url: address, token: tokenIfThere(file), tokenFrom: `the file ${file}` };
}

function addressFromEnv(env: Env): string {
  const url = given(env, 'TEKAI_URL');
  if (url !== undefined) return checked(url, { name: 'TEKAI_URL', exitCode: EXIT.configuration });
  const port = given(env, 'TEKAI_PORT') ?? PORT_DEFAULT;
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535 || Number(port) === 0) throw new CliError(EXIT.configuration, `TEKAI_PORT=${port} is no port that can be called. Give the engine's, for example TEKAI_PORT=${PORT_DEFAULT}, or its address in TEKAI_URL.`);
  return `http://127.0.0.1:${port}`;
}

function checked(url: string, { name, exitCode }: { name: string; exitCode: number }): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') return url.replace(/\/+$/, '');
  throw new CliError(exitCode, `${name}: "${url}" is not the address of an engine. It begins with http:// or https://, for example ${name === '--url' ? '--url ' : 'TEKAI_URL='}http://127.0.0.1:${PORT_DEFAULT}.`);
}

/** What a variable holds, or the file that the one with _FILE behind its name names. @throws CliError */
export function secretFromEnv(env: Env, name: 'TEKAI_TOKEN' | 'TEKAI_GITLAB_TOKEN'): string | undefined {
  const [value, file] = [given(env, name), given(env, `${name}_FILE`)];
  if (value !== undefined && file !== undefined) throw new CliError(EXIT.configuration, `${name} and ${name}_FILE are both set. Unset one of them.`);
  return file === undefined ? value : secretFromFile(file);
}

/** A secret's file, without the line's end. @throws CliError */
export function secretFromFile(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new CliError(EXIT.usage, `The token cannot be read from ${file} (${(error as NodeJS.ErrnoException).code ?? String(error)}). Name a file that holds nothing but the token.`);
  }
  if (text === '' || /\s/.test(text)) throw new CliError(EXIT.usage, `The file ${file} holds ${text === '' ? 'no' : 'more than a'} token. It must hold nothing but the token, in one line.`);
  return text;
}

function tokenIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new CliError(EXIT.notAuthenticated, `The access token in ${file} cannot be read (${code ?? String(error)}). Run as the account that started the engine, or give the token in TEKAI_TOKEN.`);
  }
}

function isThisMachine(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

const given = (env: Env, name: string) => (env[name] === '' ? undefined : env[name]);
