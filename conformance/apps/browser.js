// A person at a browser: fills in the pages of the server, and looks at each of
// them with the eyes of those who cannot see it, or have made it four times as
// large.
import { chromium } from "playwright-core";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const faults = [];
export const pages = new Set();

// open starts a browser with a profile of its own.
export async function open(plan, name) {
  const context = await chromium.launchPersistentContext(`${plan.profile}/${name}`, {
    executablePath: plan.chromium,
    headless: true,
    viewport: { width: 1000, height: 800 },
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  context.setDefaultTimeout(30_000);
  const page = context.pages()[0] ?? (await context.newPage());
  page.on("console", (m) => {
    if (m.type() === "error" && /Content.Security.Policy|Refused/i.test(m.text())) faults.push(`${page.url()}: ${m.text()}`);
  });
  page.on("pageerror", (e) => faults.push(`${page.url()}: ${e.message}`));
  return { context, page };
}

// shows waits for a page by its heading and inspects it.
export async function shows(page, heading) {
  await page.getByRole("heading", { level: 1, name: heading }).waitFor();
  const name = `${heading}${(await page.getByRole("alert").count()) ? ", with errors" : ""}`;
  pages.add(name);
  await page.evaluate(axe); // by the protocol of the inspector, which no policy holds back
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const v of violations) faults.push(`${name}: ${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`);
  const size = page.viewportSize();
  await page.setViewportSize({ width: 320, height: 256 }); // 1280 by 1024 at 400 % (WCAG 2.2, 1.4.10)
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  if (wide > 320) faults.push(`${name}: ${wide} pixels wide at 400 %`);
  await page.setViewportSize(size);
}

// signIn fills in the first page.
export async function signIn(plan, page, account, password = plan.accounts[account]) {
  await page.getByLabel("Name of your account").fill(account);
  await page.getByLabel("Password").fill(password);
  const code = await (await fetch(`${plan.app}/code?account=${account}`)).text();
  if (code) await page.getByLabel("Code").fill(code);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

export async function agree(page) {
  await shows(page, "Let this app use the health record?");
  await page.getByRole("button", { name: "Allow", exact: true }).click();
}

// seen is what the app shows in the end.
export async function seen(page) {
  await page.waitForFunction(() => document.getElementById("seen")?.textContent);
  return JSON.parse(await page.locator("#seen").textContent());
}
