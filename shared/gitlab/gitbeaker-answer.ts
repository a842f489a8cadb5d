import type { Dispatcher } from 'undici';
import { restRefusal } from '#schemas/gitlab/rest.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { Redact } from './redact.ts';
import { Unreachable } from './unreachable.ts';

/** One answer, read to its end. JSON is parsed; any other body stays the bytes that came (gitlab.md 8.4). */
export interface RestAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Record<string, string>;
  readonly contentType: string;
  readonly bytes: Buffer;
}

/** The clock in milliseconds, and chance for the jitter. */
interface AnswerTime { readonly now: number; readonly random: number }

/** GitLab said no to this request, in its own words: a 4xx that is neither 408 nor 429. */
export class RestRefusal extends Error {
  override readonly name = 'RestRefusal';
  readonly status: number;

  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
  }
}

/** What GitLab asks for when it says 429 and not for how long: its limits count by the minute (gitlab.md 4). */
const RETRY_AFTER_MS_DEFAULT = 60_000;
/** A server that asks for days is misled or hostile: ask again after an hour. */
const RETRY_AFTER_MS_MAX = 3_600_000;
/** Longer waits get up to a fifth on top, so that what was throttled together does not come back together. */
const JITTER_SHARE = 0.2;

/** @throws Unavailable when the body is longer than the bound. */
export async function readAnswer(dependency: string, response: Dispatcher.ResponseData, bytesMax: number): Promise<RestAnswer> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined) headers[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value;
  }

  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of response.body as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > bytesMax) throw new Unavailable(dependency, `answered more than ${bytesMax} bytes; is there a GitLab at this address?`);
    pieces.push(piece);
  }
  const contentType = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  return { status: response.statusCode, headers, contentType, bytes: Buffer.concat(pieces, bytes) };
}

/** The parsed JSON of an answer, else its bytes. @throws Unavailable when what calls itself JSON is none. */
export function bodyOf(dependency: string, answer: RestAnswer): unknown {
  if (answer.status === 204) return null;
  if (!isJson(answer)) return new Blob([answer.bytes], { type: answer.contentType });
  try {
    return JSON.parse(answer.bytes.toString('utf8'));
  } catch {
    throw new Unavailable(dependency, `answered ${answer.status} with JSON that is cut or malformed (${answer.bytes.length} bytes)`);
  }
}

/**
 * A refusal, or the dependency away. A 401, 403 or 404 is believed only in GitLab's own words: the same status with a
 * page of HTML or "Forbidden" comes from a proxy, a ban or a wrong base URL, and must not end a token or a ref (I8).
 */
export function faultOf(dependency: string, answer: RestAnswer, when: AnswerTime & { redact: Redact }): RestRefusal | Unavailable {
  const { status } = answer;
  if (status === 429) {
    return new Unavailable(dependency, 'answered 429: too many requests', { retryAfterMs: retryAfterMs(answer, when) ?? jittered(RETRY_AFTER_MS_DEFAULT, when.random) });
  }
  const wait = retryAfterMs(answer, when);
  const options = wait === undefined ? {} : { retryAfterMs: wait };
  if (status >= 500 || status === 408) return new Unavailable(dependency, `answered ${status}`, options);
  if (status === 407) return new Unreachable(dependency, 'the proxy wants a login (407); look at the proxy URL of the source', 'proxy-login');
  // What nginx says, in HTML, to who shows no certificate or one that it does not know.
  if (status === 400 && !isJson(answer) && /SSL certificate/i.test(answer.bytes.toString('latin1'))) return new Unreachable(dependency, 'answered 400: it wants a client certificate', 'client-certificate');

  const detail = refusalDetail(answer);
  if (status < 400 || detail === undefined) {
    return new Unavailable(dependency, `answered ${status} with ${answer.contentType || 'an untyped body'}, not in GitLab's words: a proxy, a ban or a wrong base URL`, options);
  }
  // A server can say our own token back to us.
  return new RestRefusal(status, when.redact(detail));
}

/**
 * So long nothing more is asked with this token, by whoever has it: the throttle of a user, which says for how long. The limits
 * of single endpoints do not (gitlab.md 4), and concern nobody else. Undefined: whoever was answered waits alone.
 */
export function holdMs({ status, headers }: RestAnswer, fault: RestRefusal | Unavailable): number | undefined {
  return status === 429 && headers['retry-after'] !== undefined && fault instanceof Unavailable ? fault.retryAfterMs : undefined;
}

/** What is not asked, because somebody else was told to wait. */
export function heldBack(dependency: string, leftMs: number, random: number): Unavailable {
  return new Unavailable(dependency, 'has asked for a pause (429) that is not over', { retryAfterMs: jittered(leftMs, random) });
}

function refusalDetail(answer: RestAnswer): string | undefined {
  if (!isJson(answer)) return undefined;
  let body: unknown;
  try {
    body = JSON.parse(answer.bytes.toString('utf8'));
  } catch {
    return undefined;
  }
  const said = restRefusal.safeParse(body);
  if (!said.success) return undefined;

  const words = 'error' in said.data ? [said.data.error, said.data['error_description']] : [said.data.message];
  const detail = words.filter((word) => word !== undefined).map((word) => (typeof word === 'string' ? word : JSON.stringify(word)));
  return detail.join(': ');
}

/** Seconds or an HTTP date, as the header may hold either; undefined when there is none that can be read. */
function retryAfterMs(answer: RestAnswer, when: AnswerTime): number | undefined {
  const said = answer.headers['retry-after']?.trim();
  if (said === undefined || said === '') return undefined;
  const ms = /^\d+$/.test(said) ? Number(said) * 1_000 : Date.parse(said) - when.now;
  if (Number.isNaN(ms)) return undefined;
  return jittered(Math.max(ms, 0), when.random);
}

function jittered(ms: number, random: number): number {
  return Math.min(Math.round(ms * (1 + JITTER_SHARE * random)), RETRY_AFTER_MS_MAX);
}

function isJson(answer: RestAnswer): boolean {
  return answer.contentType === 'application/json' || answer.contentType.endsWith('+json');
}
