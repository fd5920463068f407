package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// CertificateStats is how the certificate came.
type CertificateStats struct {
	// NotAfter is when it expires, and Loaded when it was read.
	NotAfter, Loaded time.Time
	// Err is why the files as they are now were not taken, and what they had before is in effect
	// still; nil if they were.
	Err error
}

// certificate is a certificate whose files are looked at for changes.
type certificate struct {
	current atomic.Pointer[tls.Certificate]

	mu         sync.Mutex // protects what follows
	chain, key file
	stats      CertificateStats
}

func loadCertificate(certFile, keyFile string) (*certificate, error) {
	c := &certificate{chain: file{path: certFile, public: true}, key: file{path: keyFile}}
	_, err := c.load()
	return c, err
}

// load reads the files. changed is whether another certificate is in effect.
func (c *certificate) load() (changed bool, err error) {
	chain, otherChain, err := c.chain.read()
	if err != nil {
		return false, fmt.Errorf("%s: %w", c.chain.path, err)
	}
	key, otherKey, err := c.key.read()
	if err != nil {
		return false, fmt.Errorf("%s: %w", c.key.path, err)
	}
	if !otherChain && !otherKey {
		return false, nil
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return false, fmt.Errorf("%s, %s: %w", c.chain.path, c.key.path, err)
	}
	c.chain.taken(chain)
	c.key.taken(key)
	c.current.Store(&pair)
	c.stats.NotAfter, c.stats.Loaded = pair.Leaf.NotAfter, time.Now()
	return true, nil
}

// poll reads the files again if they have changed. news is whether there is something to say.
func (c *certificate) poll() (news bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, b := c.chain.changed(), c.key.changed()
	if !a && !b {
		return false, nil
	}
	before := c.stats.Err
	changed, err := c.load()
	c.stats.Err = err
	if err != nil {
		return before == nil || before.Error() != err.Error(), err
	}
	return changed || before != nil, nil
}

// Stats returns how the certificate came.
func (c *certificate) Stats() CertificateStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// secure makes what listeners of "tls" need, nil if there is no certificate.
func (c *Config) secure() (*tls.Config, *certificate, error) {
	if c.TLS == nil && c.CertFile == "" && c.KeyFile == "" {
		return nil, nil, nil
	}
	cfg := &tls.Config{}
	if c.TLS != nil {
		cfg = c.TLS.Clone()
	}
	cfg.NextProtos = []string{"http/1.1"}
	if cfg.MinVersion != 0 && cfg.MinVersion < tls.VersionTLS12 {
		return nil, nil, errors.New("relay: Config.TLS allows versions before 1.2")
	}
	if c.CertFile == "" && c.KeyFile == "" {
		if len(cfg.Certificates) == 0 && cfg.GetCertificate == nil && cfg.GetConfigForClient == nil {
			return nil, nil, errors.New("relay: Config.TLS has no certificate")
		}
		return cfg, nil, nil
	}
	if cfg.GetConfigForClient != nil {
		return nil, nil, errors.New("relay: Config.CertFile together with a GetConfigForClient of Config.TLS, which goes before it")
	}
	cert, err := loadCertificate(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("relay: certificate: %w", err)
	}
	cfg.Certificates = nil // of which clients that ask for no name would get the first
	cfg.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert.current.Load(), nil }
	return cfg, cert, nil
}

// watch looks at the files again and again until ctx ends.
func (s *Server) watch(ctx context.Context) {
	if s.cfg.FilePoll < 0 {
		return
	}
	tick := time.NewTicker(s.cfg.FilePoll)
	defer tick.Stop()
	for {
		if s.cfg.Keys != nil {
			s.cfg.Keys.poll()
		}
		if s.certificate != nil {
			switch news, err := s.certificate.poll(); {
			case news && err != nil:
				s.log.Error("relay: the certificate is as it was", "err", err)
			case news:
				s.log.Info("relay: the certificate has changed", "expires", s.certificate.Stats().NotAfter)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
