// Ends the authorization and shows, as JSON, what the app sees of the patient.
async function look() {
  const client = await FHIR.oauth2.ready();
  const patient = await client.patient.read();
  const found = await client.request(`Observation?patient=${client.patient.id}`, { flat: true });
  return {
    patient: patient.id,
    basic: (patient.meta?.tag ?? []).some((tag) => tag.code === "SUBSETTED"),
    observations: found.filter((r) => r.resourceType === "Observation").map((r) => r.id),
    user: client.getFhirUser(),
    scope: client.getState("tokenResponse.scope"),
  };
}

look().catch((error) => ({ failed: error.message })).then((seen) => {
  document.getElementById("seen").textContent = JSON.stringify(seen);
});
