"""python-gitlab and plain git against the simulator. Started by run.mjs, which counts the lines."""

import http.server
import json
import os
import queue
import subprocess
import tempfile
import threading

import gitlab

URL = os.environ["SIMULATOR_URL"]
TOKEN = os.environ["SIMULATOR_TOKEN"]
SECRET = "a secret of the receiver"
HOOK_WAIT_SECONDS = 15

received: "queue.Queue[tuple[dict, dict]]" = queue.Queue()
failures = 0


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes what carries the token, refuses the rest, as a receiver should."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        is_ours = self.headers.get("X-Gitlab-Token") == SECRET
        if is_ours:
            received.put((dict(self.headers), json.loads(body)))
        self.send_response(200 if is_ours else 401)
        self.end_headers()

    def log_message(self, *_args):
        pass


def check(name, holds):
    global failures
    failures += 0 if holds else 1
    print(("ok - " if holds else "not ok - ") + name, flush=True)


def git(*args, cwd=None):
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    command = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main", *args]
    return subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True, text=True).stdout.strip()


def refused(call):
    try:
        call()
    except gitlab.exceptions.GitlabError as error:
        return error.response_code
    return None


def with_credentials(url):
    return url.replace("://", f"://oauth2:{TOKEN}@")


def commit(clone, name, text):
    with open(os.path.join(clone, name), "w", encoding="utf-8") as file:
        file.write(text)
    git("add", "-A", cwd=clone)
    git("commit", "-q", "-m", f"Write {name}", cwd=clone)
    return git("rev-parse", "HEAD", cwd=clone)


def check_projects_and_groups(gl):
    gl.auth()
    check("auth names the user behind the token", gl.user.username == "root")
    check("version is read", gl.version()[0].startswith("19."))
    group = gl.groups.create({"name": "Interop", "path": "interop"})
    sub = gl.groups.create({"name": "Sub", "path": "sub", "parent_id": group.id})
    projects = [gl.projects.create({"name": f"p {at}", "path": f"p{at}", "namespace_id": sub.id if at % 2 else group.id}) for at in range(5)]
    listed = gl.projects.list(iterator=True, order_by="id", sort="asc", pagination="keyset", per_page=2)
    check("keyset pages bring every project once, in order", [project.id for project in listed] == [project.id for project in projects])
    offset = gl.projects.list(iterator=True, per_page=2)
    check("offset pages know their totals", offset.total == 5 and offset.total_pages == 3 and len(list(offset)) == 5)
    check("groups are listed", {one.full_path for one in gl.groups.list(get_all=True)} == {"interop", "interop/sub"})
    check("projects of a group come with those of subgroups", len(group.projects.list(include_subgroups=True, get_all=True)) == 5)
    check("a project is found by its path", gl.projects.get("interop/sub/p1").id == projects[1].id)
    check("an absent project is 404", refused(lambda: gl.projects.get(99_999)) == 404)
    check("a wrong token is 401", refused(lambda: gitlab.Gitlab(URL, private_token="wrong").auth()) == 401)
    return projects[0]


def check_members(gl, project):
    user = gl.users.create({"username": "grace", "email": "grace@example.com", "name": "Grace", "password": "unused-in-here"})
    member = project.members.create({"user_id": user.id, "access_level": gitlab.const.AccessLevel.DEVELOPER})
    member.access_level = gitlab.const.AccessLevel.MAINTAINER
    member.save()
    check("a member is added and changed", project.members.get(user.id).access_level == 40)
    everybody = {one.username: one.access_level for one in project.members_all.list(get_all=True)}
    check("all members include those of the group", everybody == {"root": 50, "grace": 40})
    member.delete()
    check("a member is removed", refused(lambda: project.members.get(user.id)) == 404)


def check_git_and_hooks(gl, project, folder):
    port = start_receiver()
    hook = project.hooks.create({"url": f"http://127.0.0.1:{port}/hook", "push_events": True, "token": SECRET})
    check("a hook shows that it has a token, and not which", hook.token_present and SECRET not in json.dumps(hook.attributes))
    clone = os.path.join(folder, "clone")
    git("clone", "-q", with_credentials(project.http_url_to_repo), clone)
    sha = commit(clone, "read me.txt", "hello\n")
    git("push", "-q", "origin", "HEAD:main", cwd=clone)
    headers, body = received.get(timeout=HOOK_WAIT_SECONDS)
    check("a plain push fires the hook", headers["X-Gitlab-Event"] == "Push Hook" and body["object_kind"] == "push")
    check("the hook tells what was pushed", body["after"] == sha and body["project_id"] == project.id and body["commits"][0]["added"] == ["read me.txt"])
    check("the delivery has a key against doubles", headers["webhook-id"] == headers["Idempotency-Key"])
    check("the branch is there by then", project.branches.get("main").commit["id"] == sha)
    project.branches.create({"branch": "feature/one", "ref": "main"})
    check("a branch made over REST fires too", received.get(timeout=HOOK_WAIT_SECONDS)[1]["ref"] == "refs/heads/feature/one")
    names = [branch.name for branch in project.branches.list(iterator=True, pagination="keyset", per_page=1)]
    check("branches are paged by key, with slashes in names", names == ["feature/one", "main"])
    check("a test of the hook arrives", project_hook_test(gl, project, hook) and received.get(timeout=HOOK_WAIT_SECONDS)[1]["after"] == sha)
    check_content(project, sha)
    again = os.path.join(folder, "again")
    git("clone", "-q", with_credentials(project.http_url_to_repo), again)
    check("a second clone has the commit", git("rev-parse", "HEAD", cwd=again) == sha)
    hook.delete()
    check("a removed hook is gone", project.hooks.list(get_all=True) == [])


def project_hook_test(gl, project, hook):
    return gl.http_post(f"/projects/{project.id}/hooks/{hook.id}/test/push_events")["message"] == "201 Created"


def check_content(project, sha):
    tree = list(project.repository_tree(iterator=True, pagination="keyset", per_page=1, ref=sha))
    check("the tree names its files", [entry["path"] for entry in tree] == ["read me.txt"])
    check("a file is read byte for byte", project.files.raw("read me.txt", ref=sha) == b"hello\n")
    check("a blob is read by its id", project.repository_raw_blob(tree[0]["id"]) == b"hello\n")
    check("the archive holds the commit", sha.encode() in gunzip(project.repository_archive(sha=sha)))


def gunzip(data):
    import gzip

    return gzip.decompress(data)


def start_receiver():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def main():
    gl = gitlab.Gitlab(URL, private_token=TOKEN)
    project = check_projects_and_groups(gl)
    check_members(gl, project)
    with tempfile.TemporaryDirectory() as folder:
        check_git_and_hooks(gl, project, folder)
    raise SystemExit(1 if failures else 0)


main()
