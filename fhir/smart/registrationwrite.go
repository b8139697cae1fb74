package smart

import "encoding/json"

type (
	extensionPart struct {
		URL         string `json:"url"`
		ValueCode   string `json:"valueCode,omitempty"`
		ValueURI    string `json:"valueUri,omitempty"`
		ValueURL    string `json:"valueUrl,omitempty"`
		ValueString string `json:"valueString,omitempty"`
	}
	clientExtension struct {
		URL       string          `json:"url"`
		Extension []extensionPart `json:"extension"`
	}
	deviceIdentifier struct {
		System string `json:"system"`
		Value  string `json:"value"`
	}
	deviceName struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	deviceOwner struct {
		Reference string `json:"reference"`
	}
	device struct {
		ResourceType string             `json:"resourceType"`
		ID           string             `json:"id,omitempty"`
		Extension    []clientExtension  `json:"extension"`
		Identifier   []deviceIdentifier `json:"identifier"`
		Status       string             `json:"status"`
		DeviceName   []deviceName       `json:"deviceName"`
		Owner        *deviceOwner       `json:"owner,omitempty"`
	}
)

// Resource is the Device that registers the client, which ReadClient reads back
// as it was. Its error is a *RegistrationError.
func (c *Client) Resource() ([]byte, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	parts := []extensionPart{{URL: partState, ValueCode: c.State.String()}}
	for _, word := range c.Capabilities() {
		parts = append(parts, extensionPart{URL: partCapability, ValueCode: word})
	}
	for _, uri := range c.RedirectURIs {
		parts = append(parts, extensionPart{URL: partRedirect, ValueURI: uri})
	}
	for _, p := range []extensionPart{
		{URL: partLaunch, ValueURL: c.LaunchURL},
		{URL: partJWKS, ValueString: c.JWKS},
		{URL: partJWKSURL, ValueURL: c.JWKSURL},
		{URL: partScope, ValueString: c.Scope},
	} {
		if p.ValueURL+p.ValueString != "" {
			parts = append(parts, p)
		}
	}
	d := device{
		ResourceType: "Device", ID: c.Device,
		Extension:  []clientExtension{{URL: ExtensionClient, Extension: parts}},
		Identifier: []deviceIdentifier{{System: SystemClient, Value: c.ID}},
		Status:     statusInactive,
		DeviceName: []deviceName{{Name: c.Name, Type: nameFriendly}},
	}
	if c.State == ClientActive {
		d.Status = statusActive
	}
	if c.Organization != "" {
		d.Owner = &deviceOwner{"Organization/" + c.Organization}
	}
	return json.Marshal(d)
}
