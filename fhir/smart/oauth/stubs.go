package oauth

import "net/http"

func (s *Server) people() http.Handler                              { return http.NotFoundHandler() }
func (s *Server) browser(http.ResponseWriter, *http.Request) string { return "" }
func (s *Server) browserOf(*http.Request) string                    { return "" }
func (s *Server) signInURL(string) string                           { return "" }
func (s *Server) page(http.ResponseWriter, *http.Request, error)    {}
func (s *Server) signedUp(string) bool                              { return false }

// issuing is what the keys will be able to do.
type issuing interface {
	MintID(claims map[string]any) (string, error)
	JWKS() []byte
}
