/* Lets the search's worker run where pages come from the file system: browsers start no Worker there. It stands in for
 * Worker and runs the script in a hidden frame. Messages are copied, and arrive later, as a Worker's do: what the page
 * does about one must not run inside of what it did to ask. Elsewhere it does nothing. */
(() => {
  if (location.protocol !== "file:") return;

  const later = (what) => setTimeout(what, 0);

  class FrameWorker extends EventTarget {
    constructor(url) {
      super();
      this.onmessage = null;
      this.onerror = null;
      this.inside = new Promise((ready) => {
        this.frame = document.createElement("iframe");
        this.frame.hidden = true;
        this.frame.srcdoc = "<!doctype html>";
        this.frame.onload = () => ready(this.start(url));
        document.body.append(this.frame);
      });
      this.inside.catch((error) => this.tell(new ErrorEvent("error", { error, cancelable: true })));
    }

    async start(url) {
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => later(() => this.tell(new MessageEvent("message", { data: structuredClone(data) })));
      await new Promise((loaded, failed) => {
        const script = inside.document.createElement("script");
        script.src = new URL(url, location.href).href;
        script.onload = loaded;
        script.onerror = failed;
        inside.document.head.append(script);
      });
      return inside;
    }

    tell(event) {
      this[`on${event.type}`]?.(event);
      this.dispatchEvent(event);
    }

    postMessage(data) {
      const copied = structuredClone(data);
      this.inside.then((inside) => later(() => inside.dispatchEvent(new MessageEvent("message", { data: copied }))));
    }

    terminate() {
      this.frame.remove();
    }
  }

  window.Worker = FrameWorker;
})();
