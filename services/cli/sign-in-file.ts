import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { Env } from './connection.ts';
import { CliError, EXIT } from './exit-codes.ts';

const signIn = z.object({ name: z.string(), tokenId: z.string(), token: z.string(), expiresAt: z.string() });
export type SignIn = z.infer<typeof signIn>;
const signIns = z.record(z.string(), signIn);

/** Undefined: an account without a home keeps nothing. */
export function signInFile(env: Env): string | undefined {
  const [config, home] = [env['XDG_CONFIG_HOME'], env['HOME']];
  const folder = config !== undefined && config !== '' ? config : home !== undefined && home !== '' ? path.join(home, '.config') : undefined;
  return folder === undefined ? undefined : path.join(folder, 'tekai', 'sign-ins.json');
}

/** Who signed in to the engine at this address; each address has its own. */
export const keptSignIn = (env: Env, url: string): SignIn | undefined => read(signInFile(env))[url];

/** Undefined forgets it. Only this account may read the file. @throws CliError */
export function keepSignIn(env: Env, url: string, kept: SignIn | undefined): void {
  const file = signInFile(env);
  if (file === undefined) throw new CliError(EXIT.configuration, 'There is no place to keep a sign-in: set HOME, or give a token in TEKAI_TOKEN.');
  const { [url]: _before, ...others } = read(file);
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  // Written whole, then named: whoever is killed here has lost nothing.
  writeFileSync(`${file}.new`, `${JSON.stringify(kept === undefined ? others : { ...others, [url]: kept }, null, 2)}\n`, { mode: 0o600 });
  chmodSync(`${file}.new`, 0o600);
  renameSync(`${file}.new`, file);
}

function read(file: string | undefined): Readonly<Record<string, SignIn>> {
  if (file === undefined) return {};
  try {
    const parsed = signIns.safeParse(JSON.parse(readFileSync(file, 'utf8')));
    return parsed.success ? parsed.data : {};
  } catch {
    // Not there, or not readable: the same as never having signed in.
    return {};
  }
}
