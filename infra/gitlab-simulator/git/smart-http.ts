import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';

import { findToken, hasScope, isExpired } from '../http/authenticate.ts';
import { repositoryOf, type Instance } from '../instance.ts';
import { mayPush, mayReadCode, maySeeProject, type Caller } from '../state/access.ts';
import { findProjectByPath } from '../state/paths.ts';
import type { Project } from '../state/records.ts';
import { spawnGit } from './git-command.ts';
import { recordPush } from './record-push.ts';

export type GitService = 'git-upload-pack' | 'git-receive-pack';

export interface GitRequest {
  kind: 'advertise' | 'call';
  service: GitService;
  projectPath: string;
  hasSuffix: boolean;
}

/** As Gitaly sets them on every call. Objects stay after a force push: there is no gc here. */
const UPLOAD_OPTIONS = ['-c', 'uploadpack.allowFilter=true', '-c', 'uploadpack.allowAnySHA1InWant=true', '-c', 'uploadpack.hideRefs=refs/keep-around'];
const RECEIVE_OPTIONS = ['-c', 'receive.autogc=false', '-c', 'receive.advertisePushOptions=true', '-c', 'receive.denyDeleteCurrent=refuse', '-c', 'receive.denyCurrentBranch=ignore', '-c', 'receive.hideRefs=refs/keep-around'];

/** What a URL asks of git, or null if it is not git's. */
export function readGitRequest(url: URL): GitRequest | null {
  const match = /^\/(.+?)\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(url.pathname);
  if (!match) return null;
  const service = match[2] === 'info/refs' ? url.searchParams.get('service') : match[2];
  if (service !== 'git-upload-pack' && service !== 'git-receive-pack') return null;
  const projectPath = decode(match[1] ?? '');
  if (projectPath === null) return null;
  return {
    kind: match[2] === 'info/refs' ? 'advertise' : 'call',
    service,
    projectPath: projectPath.replace(/\.git$/, ''),
    hasSuffix: projectPath.endsWith('.git'),
  };
}

export async function answerGit(instance: Instance, asked: GitRequest, http: { request: IncomingMessage; response: ServerResponse; url: URL }): Promise<void> {
  const { request, response, url } = http;
  if (!asked.hasSuffix) {
    const [path, rest] = splitGitPath(url.pathname);
    response.writeHead(302, { Location: `${instance.url()}${path}.git/${rest}${url.search}` });
    response.end();
    return;
  }
  const gate = passGate(instance, asked, request);
  if (gate.kind === 'refused') return refuse(request, response, gate);
  const repository = repositoryOf(instance, gate.project);
  const protocol = protocolOf(request);
  if (asked.kind === 'advertise') return advertise(asked.service, repository, { response, protocol });
  const call: ServiceCall = { service: asked.service, repository, protocol };
  if (asked.service === 'git-upload-pack') return serve(call, request, response);
  try {
    await recordPush(instance, { project: gate.project, user: gate.caller?.user ?? null }, () => serve(call, request, response));
  } finally {
    // Only now, so that whoever waited for `git push` finds REST on the new state: default branch, emptiness, lag.
    response.end();
  }
}

type Gate = { kind: 'passed'; project: Project; caller: Caller | null } | { kind: 'refused'; status: number; text: string };

const ACCESS_DENIED = 'HTTP Basic: Access denied. If a password was provided for Git authentication, the password was incorrect or you\'re required to use a token instead of a password. If a token was provided, it was either incorrect, expired, or improperly scoped.';
const NOT_FOUND = "The project you were looking for could not be found or you don't have permission to view it.";

/** Who may pass and who is told what: statuses differ from REST's on purpose (a dead token is 401 on a public project, too). */
function passGate(instance: Instance, asked: GitRequest, request: IncomingMessage): Gate {
  const project = findProjectByPath(instance.state, asked.projectPath)?.project;
  const given = basicOf(request);
  const isPush = asked.service === 'git-receive-pack';
  if (!given) {
    if (project && !isPush && mayReadCode(accessOf(instance), null, project)) return { kind: 'passed', project, caller: null };
    return refusal(401, ACCESS_DENIED);
  }
  const caller = callerOf(instance, given);
  if (!caller) return refusal(401, ACCESS_DENIED);
  const isMachine = caller.token.kind === 'deploy' || caller.user?.isBot === true;
  if (!project || !isKnownTo(instance, caller, project)) return isMachine ? refusal(401, ACCESS_DENIED) : refusal(404, NOT_FOUND);
  if (caller.user?.state === 'blocked') return refusal(403, 'Your account has been blocked.');
  const scopes = isPush ? ['write_repository', 'api'] : ['read_repository', 'write_repository', 'api', 'read_api'];
  const verb = isPush ? 'push code to' : 'download code from';
  if (!caller.token.scopes.some((scope) => scopes.includes(scope))) return refusal(403, `You are not allowed to ${verb} this project.`);
  if (isPush && project.isArchived) return refusal(403, "You can't push code to an archived project.");
  const may = isPush ? mayPush : mayReadCode;
  if (!may(accessOf(instance), caller, project)) return refusal(403, `You are not allowed to ${verb} this project.`);
  return { kind: 'passed', project, caller };
}

function isKnownTo(instance: Instance, caller: Caller, project: Project): boolean {
  if (caller.token.kind === 'deploy') return caller.token.projectId === project.id && hasScope(caller.token, ['read_repository', 'write_repository']);
  return maySeeProject(accessOf(instance), caller, project);
}

function callerOf(instance: Instance, given: { username: string; password: string }): Caller | null {
  const token = findToken(instance, given.password);
  if (!token || token.isRevoked || isExpired(instance, token)) return null;
  if (token.kind === 'deploy') return token.username === given.username ? { token, user: null } : null;
  const user = token.userId === null ? undefined : instance.state.users.get(token.userId);
  return user ? { token, user } : null;
}

function accessOf(instance: Instance): { state: Instance['state']; now(): Date } {
  return { state: instance.state, now: () => instance.now() };
}

function refusal(status: number, text: string): Gate {
  return { kind: 'refused', status, text };
}

function refuse(request: IncomingMessage, response: ServerResponse, gate: { status: number; text: string }): void {
  request.resume();
  const headers: Record<string, string> = { 'Content-Type': 'text/plain; charset=utf-8' };
  if (gate.status === 401) headers['WWW-Authenticate'] = 'Basic realm="GitLab"';
  response.writeHead(gate.status, headers);
  response.end(`${gate.text}\n`);
}

/** Only Basic is read on git's URLs; Bearer and PRIVATE-TOKEN do nothing there. */
function basicOf(request: IncomingMessage): { username: string; password: string } | null {
  const match = /^Basic\s+(\S+)$/i.exec(request.headers.authorization ?? '');
  if (!match) return null;
  const text = Buffer.from(match[1] ?? '', 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? null : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function protocolOf(request: IncomingMessage): string {
  const value = request.headers['git-protocol'];
  return typeof value === 'string' && /^[\w=:.-]{1,100}$/.test(value) ? value : '';
}

function advertise(service: GitService, repository: string, to: { response: ServerResponse; protocol: string }): Promise<void> {
  const { response, protocol } = to;
  response.writeHead(200, { 'Content-Type': `application/x-${service}-advertisement`, 'Cache-Control': 'no-cache, max-age=0, must-revalidate', Expires: 'Fri, 01 Jan 1980 00:00:00 GMT', Pragma: 'no-cache' });
  // A v2 client is greeted without the line that v0 begins with.
  if (!protocol.includes('version=2')) response.write(packetLine(`# service=${service}\n`) + '0000');
  const child = spawnGit([...optionsOf(service), service.slice('git-'.length), '--stateless-rpc', '--advertise-refs', repository], { GIT_PROTOCOL: protocol });
  child.stdin.end();
  return joined(child, response, { isEnding: true });
}

interface ServiceCall {
  service: GitService;
  repository: string;
  protocol: string;
}

function serve(what: ServiceCall, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { service, repository, protocol } = what;
  response.writeHead(200, { 'Content-Type': `application/x-${service}-result`, 'Cache-Control': 'no-cache' });
  const child = spawnGit([...optionsOf(service), service.slice('git-'.length), '--stateless-rpc', repository], { GIT_PROTOCOL: protocol });
  const body = request.headers['content-encoding'] === 'gzip' ? request.pipe(createGunzip()) : request;
  // A broken body ends git's stdin early; git says what it thinks of that, and its exit ends the answer.
  pipeline(body, child.stdin, () => undefined);
  return joined(child, response, { isEnding: service === 'git-upload-pack' });
}

/** Over when git has ended, not only when the answer has: the refs are as the push left them then. */
function joined(child: ReturnType<typeof spawnGit>, response: ServerResponse, { isEnding }: { isEnding: boolean }): Promise<void> {
  response.once('close', () => {
    // A reader who left must not keep a big pack running. Without effect on a git that has ended.
    if (!response.writableFinished) child.stdout.destroy();
  });
  child.stderr.resume();
  child.stdout.pipe(response, { end: isEnding });
  return new Promise((resolve) => {
    child.once('error', () => {
      response.destroy();
      resolve();
    });
    child.once('close', () => resolve());
  });
}

function optionsOf(service: GitService): string[] {
  return service === 'git-upload-pack' ? UPLOAD_OPTIONS : RECEIVE_OPTIONS;
}

function packetLine(text: string): string {
  return (Buffer.byteLength(text) + 4).toString(16).padStart(4, '0') + text;
}

function splitGitPath(pathname: string): [string, string] {
  const match = /^(\/.+?)\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(pathname);
  return [match?.[1] ?? '', match?.[2] ?? ''];
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
