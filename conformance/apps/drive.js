// Launches the app as people do. The plan comes on standard input, what was seen
// goes to standard output.
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { Client } from "fhir-kit-client";
import { agree, faults, open, pages, seen, shows, signIn } from "./browser.js";

const plan = JSON.parse(readFileSync(0, "utf8"));
const out = {};

const launch = (client, scope) => `${plan.app}/launch.html?${new URLSearchParams({ iss: plan.base, client, scope })}`;
const alone = "launch/patient openid fhirUser patient/Patient.rs patient/Observation.rs";

// A doctor opens the app from the EMR, for a patient who restricts the record;
// then by itself, for one whom she looks up.
async function doctor(page) {
  await page.goto(plan.launch);
  await shows(page, "Sign in");
  await page.keyboard.press("Tab");
  const order = [];
  for (let i = 0; i < 4; i++) {
    order.push(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent));
    await page.keyboard.press("Tab");
  }
  out.order = order;
  await signIn(plan, page, "dr-a");
  await agree(page);
  out.fromEMR = await seen(page);

  await page.goto(launch("growth", alone));
  await shows(page, "Whose record?");
  await page.getByRole("button", { name: "Look" }).click();
  await shows(page, "Whose record?");
  await page.getByLabel("NRIC or FIN").fill("S0000001I");
  await page.getByRole("button", { name: "Look" }).click();
  await page.getByRole("heading", { name: "Nobody found" }).waitFor();
  await shows(page, "Whose record?");
  await page.getByLabel("NRIC or FIN").fill("");
  await page.getByLabel("Name", { exact: true }).fill("Q Lowe");
  await page.getByLabel("Date of birth").fill("1980-01-02");
  await page.getByRole("button", { name: "Look" }).click();
  await page.getByRole("heading", { name: "Patients found" }).waitFor();
  await shows(page, "Whose record?");
  await page.getByLabel(/^q Lowe/).check();
  await page.getByRole("button", { name: "Go on with this patient" }).click();
  await agree(page);
  out.pickedByDoctor = await seen(page);

  await page.goto(launch("growth", alone));
  await page.getByRole("button", { name: "Sign in as somebody else" }).click();
  await shows(page, "Sign in");
  await signIn(plan, page, "dr-two");
  await shows(page, "How do you want to use this app?");
  await page.getByRole("button", { name: "Sign in as somebody else" }).click();
  await shows(page, "Sign in");
  await page.goto(`${plan.root}/auth/sign-out`);
  await shows(page, "Sign out");
  await page.goto(`${plan.root}/auth/agree?request=x`);
  await shows(page, "This sign-in is over");
}

// A patient opens the app by itself, takes one wish of it away the first time,
// and sees the own record.
async function patient(page) {
  await page.goto(launch("diary", alone));
  await shows(page, "Sign in");
  await signIn(plan, page, "koh", "not the password");
  await shows(page, "Sign in");
  await signIn(plan, page, "koh");
  await page.getByLabel(/^See measurements/).uncheck();
  await agree(page);
  out.withoutObservations = await seen(page);

  await page.goto(launch("diary", alone));
  await agree(page);
  out.ownRecord = await seen(page);

  await page.goto(launch("growth", `launch/patient openid user/Patient.rs`));
  await shows(page, "Let this app use the health record?");
  await page.getByRole("button", { name: "Do not allow" }).click();
  out.refused = (await seen(page)).failed;

  out.kit = await kit(page);
}

// kit is the same with fhir-kit-client, which leaves the flow to its caller.
async function kit(page) {
  const client = new Client({ baseUrl: plan.base });
  const { authorizeUrl, tokenUrl } = await client.smartAuthMetadata();
  const verifier = randomBytes(32).toString("base64url");
  const redirect = `${plan.app}/kit.html`;
  const state = randomBytes(16).toString("base64url");
  authorizeUrl.search = new URLSearchParams({
    response_type: "code", client_id: "diary", redirect_uri: redirect, scope: alone, state, aud: plan.base,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"), code_challenge_method: "S256",
  });
  await page.goto(authorizeUrl.href);
  await agree(page);
  await page.waitForURL(/kit.html/);
  const back = new URL(page.url()).searchParams;
  if (back.get("state") !== state || back.get("iss") !== plan.base) throw new Error("another answer than ours");
  const answer = await fetch(tokenUrl, {
    method: "POST",
    body: new URLSearchParams({ grant_type: "authorization_code", code: back.get("code"), redirect_uri: redirect, client_id: "diary", code_verifier: verifier }),
  });
  const token = await answer.json();
  client.bearerToken = token.access_token;
  const found = await client.search({ resourceType: "Observation", searchParams: { patient: token.patient } });
  return { patient: token.patient, observations: found.entry.map((e) => e.resource.id) };
}

// where a person is when something does not go on
async function told(who) {
  const { context, page } = await open(plan, who.name);
  try {
    await who(page);
  } catch (error) {
    throw new Error(`${error.message}\nat ${page.url()}:\n${await page.locator("body").innerText()}`);
  } finally {
    await context.close();
  }
}

await Promise.all([told(doctor), told(patient)]);
out.pages = [...pages].sort();
out.faults = faults;
process.stdout.write(JSON.stringify(out));
