import { join } from 'node:path';
import { spawnProgram } from './spawn-program.ts';

const MAIN = join(process.cwd(), 'tests/harness/openid-provider.mjs');

/** What it does wrong from now on. */
export interface OpenIdFault {
  /** 503: everywhere, or at one path. */
  readonly away?: boolean | string;
  /** Said in place of what the ID token says; null leaves it out. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly signed?: 'none' | 'HS256 by the client secret' | 'HS256 by the public key' | 'PS256' | 'another key' | 'a key that is not told';
  /** For `HS256 by the client secret`. */
  readonly secret?: string;
  /** Said in place of what the discovery document says. */
  readonly discovery?: Readonly<Record<string, unknown>>;
  /** Seconds that an access token lasts. */
  readonly lasts?: number;
}

/** A GitLab as far as signing in goes, in a process of its own; and the browser of somebody who is asked there. */
export interface OpenIdProvider {
  readonly url: string;
  /** An application of it. */
  addClient(client: { clientId: string; clientSecret: string; redirectUri: string }): Promise<void>;
  fault(fault: OpenIdFault): Promise<void>;
  /** What it was asked for, in order. */
  asked(): Promise<Readonly<Record<string, unknown>>[]>;
  /** The tokens that it has given out, in order. */
  given(): Promise<{ readonly accessToken: string; readonly refreshToken: string | null }[]>;
  /** Where a browser is sent in the end, that went where it was sent as this user of GitLab (`deny`: who does not want to). Nothing is asked there yet. */
  browse(url: string | URL, user: number | 'deny'): Promise<URL>;
  stop(): Promise<void>;
}

/** @param gitlab a simulator: what is asked of it beside signing in goes there, and it knows the tokens that are given out here */
export async function startOpenIdProvider(gitlab?: { readonly url: string; readonly adminToken: string }): Promise<OpenIdProvider> {
  const program = spawnProgram(MAIN, { arguments: gitlab === undefined ? [] : [gitlab.url, gitlab.adminToken] });
  const { url } = await program.line<{ url: string }>();
  // Its warnings must not fill the pipe; those about its being no production are meant for others.
  program.child.stderr?.resume();
  const tell = async (where: string, body: unknown) => (await (await fetch(`${url}/_double/${where}`, { method: 'POST', body: JSON.stringify(body) })).json()) as Record<string, unknown>[];
  return {
    url,
    addClient: async ({ clientId, clientSecret, redirectUri }) => void (await tell('clients', { client_id: clientId, client_secret: clientSecret, redirect_uris: [redirectUri] })),
    fault: async (fault) => void (await tell('fault', fault)),
    asked: () => tell('asked', {}),
    given: async () => await tell('given', {}) as unknown as { accessToken: string; refreshToken: string | null }[],
    async browse(from, user) {
      const cookies = new Map<string, string>();
      let at = new URL(from);
      at.searchParams.set('login_hint', String(user));
      for (let hops = 0; hops < 10; hops += 1) {
        const answer = await fetch(at, { redirect: 'manual', headers: { connection: 'close', cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') } });
        for (const cookie of answer.headers.getSetCookie()) {
          const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
          cookies.set(name, value);
        }
        const to = answer.headers.get('location');
        if (to === null) throw new Error(`${at.href}: ${answer.status} ${await answer.text()}`);
        at = new URL(to, at);
        if (at.origin !== url || !/^\/(?:oauth|interaction)\//.test(at.pathname)) return at;
      }
      throw new Error(`sent about for ever: ${at.href}`);
    },
    stop: async () => void (await program.stop()),
  };
}
