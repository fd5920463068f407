// Package embedded runs NATS with JetStream inside a program: one server, or a cluster of several
// for tests and trials. Who has servers need not link it.
package embedded

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/tickstorm/tickstorm/internal/filelock"
)

// Config says what runs. Dir is required.
type Config struct {
	// Dir is the folder that streams are in. One process at a time may have it.
	Dir string
	// Nodes is how many servers make a cluster; 0 and 1 are one without.
	Nodes int
	// Host and Port are where the first listens; default 127.0.0.1 and a port that is free. Others
	// take a free one.
	Host string
	Port int
	// Patience is how long all may take to be ready; default 30 s.
	Patience time.Duration
}

// Cluster are servers that run. It serves one goroutine at a time.
type Cluster struct {
	cfg     Config
	options []*server.Options
	nodes   []*server.Server // nil are those that were killed
	unlock  func() error     // gives Dir back
}

var (
	// ErrNotReady: the servers were not ready in time.
	ErrNotReady = errors.New("embedded: the servers are not ready")
	// ErrInUse: servers of another process, or of this one, have the folder, where two would destroy
	// each other's streams.
	ErrInUse = errors.New("in use by another")
)

// Start starts the servers and returns when they are ready, a cluster when it has a leader.
func Start(cfg Config) (*Cluster, error) {
	if cfg.Dir == "" {
		return nil, errors.New("embedded: no Dir")
	}
	if cfg.Nodes < 1 {
		cfg.Nodes = 1
	}
	if cfg.Host == "" {
		cfg.Host = "127.0.0.1"
	}
	if cfg.Patience <= 0 {
		cfg.Patience = 30 * time.Second
	}
	ports, err := freePorts(cfg.Host, 2*cfg.Nodes)
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	if cfg.Nodes == 1 { // it need not be known before it listens, until when others may take it
		ports[0] = server.RANDOM_PORT
	}
	if cfg.Port != 0 {
		ports[0] = cfg.Port
	}
	c := &Cluster{cfg: cfg, nodes: make([]*server.Server, cfg.Nodes)}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	held, err := filelock.Try(filepath.Join(cfg.Dir, ".lock"))
	if errors.Is(err, filelock.ErrHeld) {
		err = ErrInUse
	}
	if err != nil {
		return nil, fmt.Errorf("embedded: %s: %w", cfg.Dir, err)
	}
	c.unlock = held.Release
	var routes []*url.URL
	for i := range cfg.Nodes {
		routes = append(routes, &url.URL{Scheme: "nats", Host: net.JoinHostPort(cfg.Host, strconv.Itoa(ports[cfg.Nodes+i]))})
	}
	for i := range cfg.Nodes {
		o := &server.Options{
			ServerName: fmt.Sprintf("node-%d", i), Host: cfg.Host, Port: ports[i], JetStream: true,
			StoreDir: filepath.Join(cfg.Dir, fmt.Sprintf("node-%d", i)), NoLog: true, NoSigs: true,
			MaxPayload: 8 << 20, JetStreamMaxStore: room,
		}
		if cfg.Nodes > 1 {
			o.Cluster = server.ClusterOpts{Name: "embedded", Host: cfg.Host, Port: ports[cfg.Nodes+i]}
			o.Routes = routes
		}
		c.options = append(c.options, o)
	}
	for i := range c.nodes {
		if err := c.start(i); err != nil {
			c.Close()
			return nil, err
		}
	}
	if err := c.ready(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// room is what the limits of all streams of a server may add up to. By default it would be three quarters of what the disk has
// free when the server starts, so that the streams of two markets, which hold what comes and not all that they may, could not be
// made on most disks.
const room = 1 << 50

// freePorts finds ports that nobody listens to.
func freePorts(host string, n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return nil, err
		}
		defer l.Close() // only when all are known, so that they differ
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func (c *Cluster) start(i int) error {
	s, err := server.NewServer(c.options[i].Clone())
	if err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	c.nodes[i] = s
	go s.Start()
	return nil
}

// ready waits until all that run are ready.
func (c *Cluster) ready() error {
	until := time.Now().Add(c.cfg.Patience)
	for i, s := range c.nodes {
		if s == nil {
			continue
		}
		if !s.ReadyForConnections(time.Until(until)) {
			return ErrNotReady
		}
		c.options[i].Port = s.Addr().(*net.TCPAddr).Port // which it has again when it is restarted
	}
	for c.cfg.Nodes > 1 {
		for _, s := range c.nodes {
			if s != nil && s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == c.cfg.Nodes {
				return nil
			}
		}
		if time.Now().After(until) {
			return ErrNotReady
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// URL is what clients connect to: the addresses of all servers.
func (c *Cluster) URL() string {
	var urls []string
	for _, o := range c.options {
		urls = append(urls, "nats://"+net.JoinHostPort(o.Host, strconv.Itoa(o.Port)))
	}
	return strings.Join(urls, ",")
}

// Connect connects, for as long as there is a server, and again whenever that goes.
func (c *Cluster) Connect(options ...nats.Option) (*nats.Conn, error) {
	return nats.Connect(c.URL(), append([]nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond), nats.RetryOnFailedConnect(true)}, options...)...)
}

// Kill ends a server, whose streams stay where they are.
func (c *Cluster) Kill(i int) {
	if s := c.nodes[i]; s != nil {
		s.Shutdown()
		s.WaitForShutdown()
		c.nodes[i] = nil
	}
}

// Restart starts a server again that was killed, and returns when it is there.
func (c *Cluster) Restart(i int) error {
	if c.nodes[i] != nil {
		return nil
	}
	if err := c.start(i); err != nil {
		return err
	}
	if !c.nodes[i].ReadyForConnections(c.cfg.Patience) {
		return ErrNotReady
	}
	return nil
}

// Close ends all servers.
func (c *Cluster) Close() {
	for i := range c.nodes {
		c.Kill(i)
	}
	if c.unlock != nil {
		_ = c.unlock() // which ends with the process at the latest
		c.unlock = nil
	}
}
