import { configText, type GitEnd } from './git-command.ts';
import { verdictOf } from './git-verdict.ts';
import { redactionOf } from './redact.ts';

const ended = (stderr: string, more: Partial<GitEnd> = {}): GitEnd => ({ code: 128, killedBy: null, isOverDeadline: false, isAborted: false, stderr, ...more });

describe('what git says on stderr', () => {
  test.each([
    ['fatal: remote error: upload-pack: not our ref 1111111111111111111111111111111111111111', { kind: 'unknownId' }],
    ["fatal: couldn't find remote ref 1111", { kind: 'unknownId' }],
    ["fatal: could not read Username for 'https://gitlab.example': terminal prompts disabled", { kind: 'refused', status: 401 }],
    ["fatal: Authentication failed for 'https://gitlab.example/g/p.git/'", { kind: 'refused', status: 401 }],
    ["fatal: unable to access 'https://x/': The requested URL returned error: 403", { kind: 'refused', status: 403 }],
    ["remote: The project you were looking for could not be found\nfatal: repository 'https://x/g/p.git/' not found", { kind: 'absent' }],
    ['fatal: remote error: GitLab is currently unable to handle this request due to load.', { kind: 'away', retryAfterMs: 30_000 }],
    ["fatal: unable to access 'https://x/': The requested URL returned error: 429", { kind: 'away', retryAfterMs: 30_000 }],
    ["fatal: unable to access 'https://x/': The requested URL returned error: 503", { kind: 'away', reason: 'GitLab answered 503' }],
    ["fatal: unable to access 'https://x/': The requested URL returned error: 302", { kind: 'away', reason: expect.stringMatching(/redirects git \(302\)/) }],
    ["fatal: unable to access 'https://x/': Empty reply from server", { kind: 'away' }],
    ["fatal: unable to access 'https://x/': Could not resolve host: x", { kind: 'away' }],
    ['error: RPC failed; curl 28 Operation too slow. Less than 1000 bytes/sec', { kind: 'away' }],
    ['error: RPC failed; curl 56 Recv failure: Connection reset by peer\nfatal: early EOF', { kind: 'away' }],
    ['fatal: dumb http transport does not support shallow capabilities', { kind: 'away', reason: expect.stringMatching(/no git server/) }],
    ['fatal: write error: No space left on device', { kind: 'away', reason: expect.stringMatching(/disk/) }],
    ['fatal: write error: File too large\nfatal: fetch-pack: invalid index-pack output', { kind: 'tooLarge' }],
    ['error: https://x/g/p.git did not send all necessary objects', { kind: 'incomplete' }],
    ["fatal: Unable to create 'shallow.lock': File exists.", { kind: 'odd' }],
    ['fatal: mismatched algorithms: client sha1; server sha256', { kind: 'odd' }],
    ['', { kind: 'odd' }],
  ])('%s', (stderr, verdict) => {
    expect(verdictOf(ended(stderr))).toMatchObject(verdict);
  });

  test('counts less than how git ended', () => {
    expect(verdictOf(ended('fatal: early EOF', { isOverDeadline: true, killedBy: 'SIGTERM' }))).toMatchObject({ kind: 'away', reason: expect.stringMatching(/deadline/) });
    expect(verdictOf(ended('', { killedBy: 'SIGKILL', code: null }))).toMatchObject({ kind: 'away', reason: expect.stringMatching(/SIGKILL/) });
    expect(verdictOf(ended('sh: git: not found', { code: 127 }))).toMatchObject({ kind: 'away', reason: expect.stringMatching(/installed/) });
  });
});

describe('what git is told', () => {
  test('is quoted as git reads it, and never more than one line', () => {
    expect(configText([['http.https://x/.extraHeader', 'A: "b" \\c'], ['gc.auto', '0']])).toBe('[http "https://x/"]\n\textraHeader = "A: \\"b\\" \\\\c"\n[gc]\n\tauto = "0"\n');
    expect(() => configText([['http.proxy', 'a\n[core]\n\tsshCommand = x']])).toThrow(/line break/);
  });
});

test('a text loses the secrets of its source, however they are written, and any login in a URL', () => {
  const redact = redactionOf({ baseUrl: 'https://x', token: 'to/ken"1', caPem: undefined, proxyUrl: 'http://u:p%40ss@proxy' }, ['whsec_1']);
  const basic = Buffer.from('oauth2:to/ken"1').toString('base64');
  const told = redact(`to/ken"1 to%2Fken%221 ${basic} {"t":"to/ken\\"1"} p%40ss p@ss whsec_1 https://someone:else@host/x`);
  expect(told).toBe('*** *** *** {"t":"***"} *** *** *** https://***@host/x');
});
