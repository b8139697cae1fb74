package oauth

import "time"

func (s *Server) tokenLife() time.Duration { return s.cfg.TokenLife }

func (s *Server) refreshLife() time.Duration { return s.cfg.RefreshLife }
