package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/tickstorm/tickstorm/relay"
)

// access are the flags of who may connect to a relay, and how.
type access struct {
	Keys     string `placeholder:"FILE" group:"serve" help:"JSON file of who may connect, by which token, and to what; read again when it changes. Its form is in docs/relay.md."`
	TLSCert  string `name:"tls-cert" placeholder:"FILE" group:"serve" help:"Certificate with its chain for addresses tls:..., in PEM; read again when it changes."`
	TLSKey   string `name:"tls-key" placeholder:"FILE" group:"serve" help:"Its private key, in PEM."`
	Insecure bool   `group:"serve" help:"Let other machines connect without --keys, or without TLS: everybody there reads the feed, everybody on the way the keys."`
}

func (c *access) check(listen []string) error {
	secure := false
	for _, a := range listen {
		network, address := splitAddress(a)
		secure = secure || network == "tls"
		if network != "unix" {
			if err := checkAddress(address); err != nil {
				return err
			}
		}
	}
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return usagef("--tls-cert and --tls-key go together")
	case secure && c.TLSCert == "":
		return usagef("an address tls:... takes a certificate: --tls-cert and --tls-key")
	case !secure && c.TLSCert != "":
		return usagef("a certificate is for addresses such as --listen tls:0.0.0.0:8765")
	}
	return nil
}

// set puts the flags into a config. What is wrong with the keys file is a usage.
func (c *access) set(cfg *relay.Config) error {
	cfg.CertFile, cfg.KeyFile, cfg.Insecure = c.TLSCert, c.TLSKey, c.Insecure
	if c.Keys == "" {
		return nil
	}
	keys, err := relay.LoadKeys(c.Keys)
	if err != nil {
		return &usageError{err.Error()}
	}
	cfg.Keys = keys
	return nil
}

// splitAddress takes the network from an address.
func splitAddress(a string) (network, address string) {
	for _, network := range []string{"unix", "tls"} {
		if rest, ok := strings.CutPrefix(a, network+":"); ok {
			return network, rest
		}
	}
	return "tcp", a
}

// listen listens where programs connect, at all addresses or none, and returns what programs connect to.
// Where there is a lock it waits for that first.
func (c *relayCmd) listen(ctx context.Context, server *relay.Server) (all []net.Listener, addresses []string, err error) {
	for _, a := range c.Listen {
		network, address := splitAddress(a)
		l, err := server.Listen(ctx, network, address)
		if err != nil {
			closeAll(all)
			if errors.Is(err, relay.ErrNotLoopback) {
				err = fmt.Errorf("%w: %s is for other machines too, which takes --keys and tls:%[2]s, or --insecure", relay.ErrNotLoopback, address)
			}
			return nil, nil, err
		}
		all = append(all, l)
		scheme := map[string]string{"unix": "unix:", "tls": "wss://", "tcp": "ws://"}[network]
		addresses = append(addresses, scheme+l.Addr().String())
	}
	return all, addresses, nil
}

// checkPage reports what is wrong with the page's address, before anything is begun.
func (c *relayCmd) checkPage() error {
	if c.Admin == "" {
		return nil
	}
	if err := checkAddress(c.Admin); err != nil {
		return err
	}
	a, err := net.ResolveTCPAddr("tcp", c.Admin)
	if err == nil && !a.IP.IsLoopback() && !c.AdminRemote {
		return fmt.Errorf("%w: --admin is for this machine alone, and not %s, unless there is --admin-remote", relay.ErrNotLoopback, c.Admin)
	}
	return nil // where a name leads to nothing listening says it
}

// listenForPage listens at an address of this machine, or of any with --admin-remote.
func (c *relayCmd) listenForPage() (net.Listener, error) {
	if c.AdminRemote {
		return net.Listen("tcp", c.Admin)
	}
	return relay.Listen("tcp", c.Admin)
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close() // nobody has connected
	}
}
