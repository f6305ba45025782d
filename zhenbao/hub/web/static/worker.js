// Shows what the hub pushes while no page is open. The text comes from the hub in the reader's language and holds a case
// code alone.
"use strict";

self.addEventListener("push", (event) => {
  const told = event.data ? event.data.json() : {};
  event.waitUntil(
    self.registration.showNotification(String(told.text ?? ""), {
      tag: String(told.code ?? ""),
      icon: "/static/mark.svg",
      renotify: Boolean(told.code),
      requireInteraction: true,
    }),
  );
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(
    (async () => {
      const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
      return pages.length > 0 ? pages[0].focus() : self.clients.openWindow("/");
    })(),
  );
});
