import type { Request, Response } from 'express';
import { notedProblem, sendProblem, type Problem } from '#shared/runtime/problem.ts';

/** To a browser as a page, to a program as JSON. */
export function sendCode(request: Request, response: Response, code: string): void {
  if (!wantsPage(request)) { response.json({ code }); return; }
  response.type('html').send(page('You are signed in at GitLab', `<p>Type this code where you ran <code>tekai login</code>:</p><p><strong>${code}</strong></p>
<p>If you did not run it, close this page: somebody sent you here. Tell the code to nobody, whoever asks for it.</p>`));
}

export function sendFailure(request: Request, response: Response, problem: Problem): void {
  if (!wantsPage(request)) { sendProblem(response, problem); return; }
  notedProblem(response, problem);
  if (problem.retryAfterS !== undefined) response.setHeader('Retry-After', String(problem.retryAfterS));
  response.status(problem.status).type('html').send(page('You are not signed in', `<p>${problem.detail.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)}</p>`));
}

const wantsPage = (request: Request) => request.accepts(['json', 'html']) === 'html';

const page = (title: string, body: string) => `<!doctype html>\n<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><h1>${title}</h1>\n${body}\n</html>\n`;
