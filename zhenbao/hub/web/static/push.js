// Turns alerts on for this device: asks the browser, and hands the address that it gives to the hub.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("push-on");
  if (!form) return;
  const button = form.querySelector("button");
  const told = document.getElementById("push-told");

  function say(key) {
    told.textContent = form.dataset[key];
    told.hidden = false;
  }

  if (!("serviceWorker" in navigator && "PushManager" in window && window.isSecureContext)) {
    say("unsupported");
    return;
  }
  button.disabled = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    told.hidden = true;
    try {
      if ((await Notification.requestPermission()) !== "granted") return say("refused");
      const worker = await navigator.serviceWorker.register("/sw.js");
      await navigator.serviceWorker.ready;
      const known = await worker.pushManager.getSubscription();
      if (known) await known.unsubscribe(); // it may belong to another key of the hub
      const made = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: form.dataset.key });
      const { endpoint, keys } = made.toJSON();
      form.elements.endpoint.value = endpoint;
      form.elements.p256dh.value = keys.p256dh;
      form.elements.auth.value = keys.auth;
      form.submit();
    } catch {
      say("failed");
    } finally {
      button.disabled = false;
    }
  });
});
