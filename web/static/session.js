// The session of the staff's pages. A plain form is sent only while there is one: else the password is asked for here, and what
// was typed stays. Without this script the server carries the form through its own page for signing in.
"use strict";

const UNREACHABLE = "The server can't be reached. Nothing is lost: send it again.";

function element(kind, properties = {}, ...children) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}

// { name, csrf_token } of the session that this browser has; the name is "" if it has none. null where the server can't tell:
// what is sent is then answered by what is wrong. Rejects when the server can't be reached.
async function presentSession() {
  const reply = await fetch("/session");
  return reply.ok ? reply.json() : null;
}

function renew(session) {
  document.querySelector("[data-user]").textContent = session.name;
  for (const field of document.querySelectorAll("input[name=csrf_token]")) field.value = session.csrf_token;
}

// The session may have ended, or another one begun in another tab: go on in that one, or ask for the password here. Nothing is
// sent in another person's name without a question. Resolves to why not to go on, "" if nothing speaks against it; rejects when
// the server can't be reached.
async function sessionAgain(session) {
  if (!session) return UNREACHABLE;
  if (!session.name) return await signInAgain() ? "" : "You are signed out, and nothing was sent. Send it again to sign in.";
  const user = document.querySelector("[data-user]");
  if (user.textContent !== session.name && !confirm(`You are signed in as ${session.name} now. Send it as ${session.name}?`)) {
    return "Nothing was sent.";
  }
  renew(session);
  return "";
}

function signInAgain() {
  const name = element("input", { className: "form-control", id: "again-name", autocomplete: "username", required: true });
  name.value = document.querySelector("[data-user]")?.textContent || "";
  const password = element("input", { className: "form-control", id: "again-password", type: "password", autocomplete: "current-password", required: true });
  const problem = element("div", { className: "alert alert-danger", hidden: true });
  problem.setAttribute("role", "alert");
  const form = element("form", {},
    element("h2", { textContent: "Sign in again", id: "again-title" }),
    element("p", { className: "hint", textContent: "Your session has ended. What you chose and typed is still here." }),
    problem,
    element("label", { htmlFor: "again-name", textContent: "Name" }), name,
    element("label", { htmlFor: "again-password", textContent: "Password" }), password,
    element("div", { className: "dialog-buttons" },
      element("button", { className: "btn btn-primary", textContent: "Sign in and go on" }),
      element("button", { className: "btn btn-outline-secondary", type: "button", textContent: "Not now", onclick: () => dialog.close() })));
  const dialog = element("dialog", { className: "sheet" }, form);
  dialog.setAttribute("aria-labelledby", "again-title");
  document.body.append(dialog);

  const fail = (message) => { problem.textContent = message; problem.hidden = false; };
  form.onsubmit = async (event) => {
    event.preventDefault();
    try {
      const data = new FormData();
      data.append("csrf_token", (await presentSession())?.csrf_token || "");
      data.append("name", name.value);
      data.append("password", password.value);
      const reply = await fetch("/login", { method: "POST", body: data, redirect: "manual" }); // who is signed in is led on
      if (reply.type !== "opaqueredirect") {
        return fail(reply.status === 401 ? "Name or password is wrong." : "Signing in failed: wait a minute, then try again.");
      }
      renew(await presentSession());
      dialog.close("yes");
    } catch {
      fail("The server can't be reached.");
    }
  };
  dialog.showModal();
  password.focus();
  return new Promise((done) => dialog.addEventListener("close", () => { dialog.remove(); done(dialog.returnValue === "yes"); }));
}

// Send a form as the browser would have: with the button that was pressed.
function sendNow(form, button) {
  const [action, pressed] = [form.action, element("input", { type: "hidden", name: button?.name || "", value: button?.value || "" })];
  if (pressed.name) form.append(pressed);
  if (button?.hasAttribute("formaction")) form.action = button.formAction;
  form.dispatchEvent(new Event("sent"));
  form.submit();
  pressed.remove(); // for one who comes back, and where the answer is a file
  form.action = action;
}

function sayUnsent(form, message) {
  form.querySelector("[data-unsent]")?.remove();
  if (!message) return;
  const said = element("div", { className: "alert alert-danger", textContent: message });
  said.dataset.unsent = "";
  said.setAttribute("role", "alert");
  form.prepend(said);
  said.scrollIntoView({ block: "nearest" });
}

// Heard after the forms' own scripts, which send some by themselves. A second click while the first is on its way does nothing.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || "leaves" in form.dataset) return;
  event.preventDefault();
  if (form.dataset.going || (!("download" in form.dataset) && !mayLeave(form))) return;
  form.dataset.going = "yes";
  sayUnsent(form, "");
  try {
    const session = await presentSession();
    const why = session ? await sessionAgain(session) : "";
    if (!why) {
      sendNow(form, event.submitter);
      // A download leaves the page where it is; any other answer comes, or was stopped by the user.
      setTimeout(() => { delete form.dataset.going; }, "download" in form.dataset ? 1000 : 30000);
      return;
    }
    sayUnsent(form, why);
  } catch {
    sayUnsent(form, UNREACHABLE);
  }
  delete form.dataset.going;
  form.dispatchEvent(new Event("unsent", { bubbles: true }));
});
addEventListener("pageshow", () => { for (const form of document.forms) delete form.dataset.going; });
