// After the first visit the page works offline: its own files, from the cache where there is no network.
const CACHE = "wav2small";
const FILES = ["./", "index.html", "examples/anger_emodb14.flac", "examples/amused_emogator.flac"];

self.addEventListener("install", (event) => event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES))));
self.addEventListener("fetch", (event) => {
  if (new URL(event.request.url).origin !== location.origin || event.request.method !== "GET") return;
  event.respondWith(
    fetch(event.request)
      .then((answer) => {
        const copy = answer.clone();
        if (answer.ok && answer.status === 200) caches.open(CACHE).then((cache) => cache.put(event.request, copy));
        return answer;
      })
      .catch(() => caches.match(event.request)),
  );
});
