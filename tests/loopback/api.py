"""The endpoints of the small Hub that the clients of huggingface_hub, transformers and datasets call."""

import base64
import json
import re
from urllib.parse import urlencode, urlsplit

import yaml

from .http import Connection, route
from .store import LFS_SUFFIXES, Commit, File, HttpError, Repo, User

REPO = r"/api/(?P<kind>models|datasets|spaces)/(?P<name>[^/]+/[^/]+)"
GIT = r"/(?:(?P<kind>datasets|spaces)/)?(?P<name>[^/]+/[^/]+)"


class Api(Connection):
    """One method an endpoint; `self.repo` is the repository of the path, `self.user` the owner of the token."""

    # who, and what they may do

    def find(self, kind: str, name: str) -> Repo:
        """A repository that the user may see; to those without a token, the Hub does not say which exist."""
        repo = self.hub.repos.get((kind, name))
        namespace = name.split("/")[0]
        if repo and repo.private and not (self.user and namespace in (self.user.name, *self.user.orgs)):
            repo = None
        if not repo:
            raise HttpError(404 if self.user else 401, "Repository not found", "RepoNotFound")
        return repo

    def writer(self, namespace: str | None = None) -> User:
        namespace = namespace or self.repo.id.split("/")[0]
        if not self.user:
            raise HttpError(401, "Invalid username or password.")
        if not self.user.may_write(namespace):
            raise HttpError(403, f'You don\'t have the rights to write under the namespace "{namespace}"')
        return self.user

    @route("GET", "/bytes-sent")
    def bytes_sent(self):
        return self.hub.bytes_sent

    @route("GET", "/api/whoami-v2")
    def whoami(self):
        if not self.user:
            raise HttpError(401, "Invalid credentials in Authorization header")
        orgs = [{"type": "org", "name": name, "roleInOrg": role} for name, role in self.user.orgs.items()]
        token = {"type": "access_token", "accessToken": {"displayName": "test", "role": self.user.role}}
        return {"type": "user", "name": self.user.name, "orgs": orgs, "auth": token}

    @route("POST", "/api/repos/create")
    def create(self):
        asked = self.data()
        kind = f"{asked.get('type') or 'model'}s"
        namespace = asked.get("organization") or (self.user and self.user.name)
        name = f"{namespace}/{asked['name']}"
        self.writer(namespace)
        url = f"{self.hub.url}/{'' if kind == 'models' else f'{kind}/'}{name}"
        if (kind, name) in self.hub.repos:
            raise HttpError(409, f"You already created this {kind[:-1]} repo", url=url)
        private = bool(asked.get("private")) or asked.get("visibility") == "private"
        self.hub.create(kind, name, private, asked.get("sdk"))
        return {"url": url, "name": name}

    @route("DELETE", "/api/repos/delete")
    def delete(self):
        asked = self.data()
        key = (f"{asked.get('type') or 'model'}s", f"{asked.get('organization') or self.user.name}/{asked['name']}")
        self.repo = self.find(*key)
        self.writer()
        del self.hub.repos[key]
        return {}

    # reading

    @route("GET", REPO)
    @route("GET", REPO + "/revision/(?P<revision>[^/]+)")
    def info(self, revision: str = "main"):
        commit = self.repo.commit(revision)
        said = {"_id": commit.sha[:24], "id": self.repo.id, "author": self.repo.id.split("/")[0], "sha": commit.sha}
        said |= {"private": self.repo.private, "gated": False, "disabled": False, "downloads": 0, "likes": 0}
        said |= {"lastModified": commit.date, "createdAt": commit.history()[-1].date, "tags": [], "sdk": self.repo.sdk}
        return said | {"siblings": [{"rfilename": path} for path in sorted(commit.files)]}

    @route("GET", REPO + "/tree/(?P<revision>[^/]+)(?:/(?P<path>.*))?")
    def tree(self, revision: str, path: str = ""):
        commit = self.repo.commit(revision)
        prefix = f"{path}/" if path else ""
        recursive = self.query.get("recursive", "").lower() in ("1", "true")
        below = {name.removeprefix(prefix): file for name, file in commit.files.items() if name.startswith(prefix)}
        if path and not below:
            raise HttpError(404, f"{path} does not exist on {revision}", "EntryNotFound")
        folders = {"/".join(name.split("/")[: i + 1]) for name in below for i in range(name.count("/"))}
        entries = [{"type": "directory", "path": prefix + name, "size": 0, "oid": "0" * 40} for name in sorted(folders)]
        entries += [file.entry(prefix + name) for name, file in sorted(below.items())]
        if not recursive:
            entries = [entry for entry in entries if "/" not in entry["path"].removeprefix(prefix)]
        begin = int(self.query.get("cursor", 0))
        end = begin + self.hub.page
        headers = {}
        if end < len(entries):
            more = urlencode({**self.query, "cursor": end})
            headers["Link"] = f'<{self.hub.url}{urlsplit(self.path).path}?{more}>; rel="next"'
        return (*self.json([self.expanded(entry, commit) for entry in entries[begin:end]]), headers)

    @route("POST", REPO + "/paths-info/(?P<revision>[^/]+)")
    def paths_info(self, revision: str):
        commit = self.repo.commit(revision)
        entries = []
        for path in self.data().get("paths", []):
            if path in commit.files:
                entries.append(commit.files[path].entry(path))
            elif any(name.startswith(f"{path}/") for name in commit.files):
                entries.append({"type": "directory", "path": path, "size": 0, "oid": "0" * 40})
        return [self.expanded(entry, commit) for entry in entries]

    def expanded(self, entry: dict, commit: Commit) -> dict:
        return {**entry, "lastCommit": {"id": commit.sha, "title": commit.title, "date": commit.date}}

    @route("GET", GIT + "/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
    def resolve(self, revision: str, path: str):
        commit = self.repo.commit(revision)
        if path not in commit.files:
            raise HttpError(404, "Entry not found", "EntryNotFound")
        file = commit.files[path]
        headers = {"X-Repo-Commit": commit.sha, "Accept-Ranges": "bytes"}
        if not file.lfs:
            return self.ranged(file.content, {**headers, "ETag": f'"{file.oid}"'})
        self.hub.lfs[file.sha256] = file.content
        linked = {"X-Linked-Size": str(len(file.content)), "X-Linked-Etag": f'"{file.sha256}"'}
        return 302, b"", {**headers, **linked, "Location": f"{self.hub.cdn_url}/cdn/{file.sha256}"}

    @route("GET", "/cdn/(?P<oid>[0-9a-f]{64})")
    def cdn(self, oid: str):
        return self.ranged(self.hub.lfs[oid], {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"})

    def ranged(self, content: bytes, headers: dict[str, str]):
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not found:
            return 200, content, headers
        begin, end = int(found[1]), min(int(found[2] or len(content)) + 1, len(content))
        if begin >= len(content):
            raise HttpError(416, "Range not satisfiable")
        return 206, content[begin:end], {**headers, "Content-Range": f"bytes {begin}-{end - 1}/{len(content)}"}

    @route("GET", REPO + "/refs")
    def refs(self):
        said: dict[str, list] = {"branches": [], "tags": [], "converts": [], "pullRequests": []}
        for name, commit in self.repo.refs.items():
            place = "tags" if name.startswith("refs/tags/") else "pullRequests" if "refs/pr/" in name else "branches"
            ref = f"refs/heads/{name}" if place == "branches" else name
            said[place].append({"name": name.removeprefix("refs/tags/"), "ref": ref, "targetCommit": commit.sha})
        return said

    @route("GET", REPO + "/commits/(?P<revision>[^/]+)")
    def commits(self, revision: str):
        said = {"authors": [], "message": ""}
        history = self.repo.commit(revision).history()
        return [{**said, "id": commit.sha, "date": commit.date, "title": commit.title} for commit in history]

    # writing

    @route("POST", "/api/validate-yaml")
    def validate_yaml(self):
        front = re.match(r"---\n(.*?)\n---", self.data()["content"], re.DOTALL)
        try:
            good = front is None or isinstance(yaml.safe_load(front[1]), dict)
        except yaml.YAMLError:
            good = False
        if not good:
            raise HttpError(
                400, "Invalid YAML", errors=[{"message": "the metadata is not a YAML mapping"}], warnings=[]
            )
        return {"errors": [], "warnings": [] if front else [{"message": "empty or missing yaml metadata"}]}

    @route("POST", REPO + "/preupload/(?P<revision>[^/]+)")
    def preupload(self, revision: str):
        if "create_pr" not in self.query:
            self.writer()
        files = self.repo.commit(revision).files
        said = []
        for asked in self.data()["files"]:
            lfs = asked["path"].endswith(LFS_SUFFIXES) or asked["size"] > 10_000_000
            there = files.get(asked["path"])
            oid = there and (there.sha256 if there.lfs else there.oid)
            mode = "lfs" if lfs else "regular"
            said.append({"path": asked["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return {"files": said}

    @route("POST", GIT + r"\.git/info/lfs/objects/batch")
    def lfs_batch(self):
        objects = []
        for asked in self.data()["objects"]:
            oid, size = asked["oid"], asked["size"]
            one = {"oid": oid, "size": size}
            if oid not in self.hub.lfs:
                href = f"{self.hub.url}/lfs/{oid}"
                parts = range(1, -(-size // self.hub.part) + 1)
                header = {"chunk_size": str(self.hub.part)} | {str(i): f"{href}/{i}" for i in parts}
                upload = {"href": href} | ({"header": header} if size > self.hub.part else {})
                one["actions"] = {"upload": upload, "verify": {"href": f"{self.hub.url}/verify"}}
            objects.append(one)
        return {"transfer": "basic", "objects": objects}

    @route("PUT", "/lfs/(?P<oid>[0-9a-f]{64})")
    def lfs_put(self, oid: str):
        return self.store(oid, self.body)

    @route("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})/(?P<number>\d+)")
    def lfs_part(self, oid: str, number: str):
        self.hub.parts[oid, int(number)] = self.body
        return 200, b"", {"ETag": f'"{number}"'}

    @route("POST", "/lfs/(?P<oid>[0-9a-f]{64})")
    def lfs_complete(self, oid: str):
        return self.store(oid, b"".join(self.hub.parts.pop((oid, part["partNumber"])) for part in self.data()["parts"]))

    def store(self, oid: str, content: bytes):
        if File(content).sha256 != oid:
            raise HttpError(400, "The content does not have this SHA-256")
        self.hub.lfs[oid] = content
        return {}

    @route("POST", "/verify")
    def verify(self):
        asked = self.data()
        if len(self.hub.lfs.get(asked["oid"], b"")) != asked["size"]:
            raise HttpError(404, "No such object")
        return {}

    @route("POST", REPO + "/commit/(?P<revision>[^/]+)")
    def commit(self, revision: str):
        create_pr = "create_pr" in self.query
        user = self.user if create_pr and self.user else self.writer()
        head = self.repo.commit(revision)
        if not create_pr and revision not in self.repo.refs:
            raise HttpError(400, "A commit goes to a branch")
        header, *operations = [json.loads(line) for line in self.body.splitlines()]
        if header["value"].get("parentCommit", head.sha) != head.sha:
            raise HttpError(412, "A commit has happened since. Please refresh and try again.")
        files = dict(head.files)
        for operation in operations:
            self.apply(files, operation["key"], operation["value"])
        new = Commit(header["value"]["summary"], files, head)
        url = f"{self.hub.url}/{'' if self.repo.kind == 'models' else f'{self.repo.kind}/'}{self.repo.id}"
        said = {"success": True, "commitOid": new.sha, "commitUrl": f"{url}/commit/{new.sha}"}
        if not create_pr:
            self.repo.refs[revision] = new
            return said
        number = len(self.repo.pull_requests) + 1
        self.repo.refs[f"refs/pr/{number}"] = new
        one = {"num": number, "title": new.title, "status": "open", "isPullRequest": True, "createdAt": new.date}
        one |= {"author": {"name": user.name}, "repo": {"name": self.repo.id, "type": self.repo.kind[:-1]}}
        self.repo.pull_requests.append(one)
        return said | {"pullRequestUrl": f"{url}/discussions/{number}"}

    def apply(self, files: dict[str, File], key: str, value: dict) -> None:
        path = value["path"]
        if key == "file":
            files[path] = File(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            if value["oid"] not in self.hub.lfs:
                raise HttpError(400, f"{path}: its LFS object was not uploaded")
            files[path] = File(self.hub.lfs[value["oid"]], lfs=True)
        else:
            gone = [name for name in files if name == path or (key == "deletedFolder" and name.startswith(path))]
            if not gone:
                raise HttpError(404, "A file with this name doesn't exist", "EntryNotFound")
            for name in gone:
                del files[name]

    @route("POST", REPO + "/branch/(?P<branch>[^/]+)")
    def create_branch(self, branch: str):
        self.writer()
        if branch in self.repo.refs:
            raise HttpError(409, f"Reference already exists: {branch}")
        self.repo.refs[branch] = self.repo.commit(self.data().get("startingPoint", "main"))
        return {}

    @route("POST", REPO + "/tag/(?P<revision>[^/]+)")
    def create_tag(self, revision: str):
        self.writer()
        self.repo.refs[f"refs/tags/{self.data()['tag']}"] = self.repo.commit(revision)
        return {}

    @route("GET", REPO + "/discussions")
    def discussions(self):
        status = self.query.get("status")
        found = [one for one in self.repo.pull_requests if status in (None, "all", one["status"])]
        return {"discussions": found, "count": len(found), "start": 0}

    @route("POST", REPO + r"/discussions/(?P<number>\d+)/merge")
    def merge(self, number: str):
        self.writer()
        self.repo.pull_requests[int(number) - 1]["status"] = "merged"
        self.repo.refs["main"] = self.repo.refs[f"refs/pr/{number}"]
        return {}

    # collections

    @route("POST", "/api/collections")
    def create_collection(self):
        asked = self.data()
        self.writer(asked["namespace"])
        slug = f"{asked['namespace']}/{re.sub(r'[^a-z0-9]+', '-', asked['title'].lower()).strip('-')}-{'0' * 24}"
        if slug in self.hub.collections:
            raise HttpError(409, "This collection exists already", slug=slug)
        one = {"slug": slug, "title": asked["title"], "description": asked.get("description"), "items": []}
        one |= {"owner": {"name": asked["namespace"]}, "private": asked["private"], "position": 0, "upvotes": 0}
        self.hub.collections[slug] = one | {"lastUpdated": "2026-01-01T00:00:00.000Z", "theme": "blue"}
        return self.hub.collections[slug]

    @route("GET", "/api/collections/(?P<slug>[^/]+/[^/]+)")
    def collection(self, slug: str):
        if slug not in self.hub.collections:
            raise HttpError(404, "Collection not found")
        return self.hub.collections[slug]

    @route("POST", "/api/collections/(?P<slug>[^/]+/[^/]+)/items")
    def add_item(self, slug: str):
        self.writer(slug.split("/")[0])
        asked = self.data()["item"]
        self.find(f"{asked['type']}s", asked["id"])
        items = self.collection(slug)["items"]
        if any((item["id"], item["type"]) == (asked["id"], asked["type"]) for item in items):
            raise HttpError(409, "This item is in the collection already")
        items.append({"_id": f"{len(items):024}", "position": len(items), **asked})
        return self.collection(slug)
