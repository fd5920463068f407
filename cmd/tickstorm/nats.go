package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tickstorm/tickstorm/internal/redact"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
	"github.com/tickstorm/tickstorm/sink/nats/embedded"
)

// natsAddress is where the embedded server listens, and is looked for, unless somebody says another.
const natsAddress = "127.0.0.1:4222"

// Variables of the environment that say who one is at a server.
const (
	natsUser     = "NATS_USER"
	natsPassword = "NATS_PASSWORD"
	natsToken    = "NATS_TOKEN"
)

// natsFlags say where NATS is, and how a market lies in it: what a sink and its consumers have to
// agree on.
type natsFlags struct {
	URL        string `name:"url" placeholder:"URL,..." group:"nats" help:"Servers, which are of version 2.14 or newer, such as nats://10.0.0.1:4222."`
	Creds      string `placeholder:"FILE" group:"nats" help:"File with the credentials for them. A user is in NATS_USER and NATS_PASSWORD, a token in NATS_TOKEN."`
	Prefix     string `default:"md" placeholder:"NAME" group:"nats" help:"First token of all subjects, and first part of the streams' names."`
	Partitions int    `default:"1" placeholder:"N" group:"nats" help:"Streams of a market, each with its share of the symbols: the same for a sink and its consumers."`
	Replicas   int    `default:"1" placeholder:"N" group:"nats" help:"Nodes of a cluster that each stream is on, if it is made."`
}

func (f *natsFlags) check() error {
	if f.Replicas < 1 || f.Partitions < 1 || f.Partitions > sinknats.MaxPartitions {
		return usagef("--replicas is at least 1, and --partitions from 1 to %d", sinknats.MaxPartitions)
	}
	for address := range strings.SplitSeq(f.URL, ",") {
		if redact.Address(address) != address {
			return usagef("a password or a token is never an argument, where every user of this machine can see it: put it in NATS_USER and NATS_PASSWORD, in NATS_TOKEN, or in a file for --creds")
		}
	}
	if f.Creds != "" {
		if _, err := os.Stat(f.Creds); err != nil {
			return &exitError{exitKey, "the credentials cannot be read: " + err.Error()}
		}
	}
	return nil
}

func (f *natsFlags) layout() sinknats.Layout {
	return sinknats.Layout{Prefix: f.Prefix, Partitions: f.Partitions}
}

// natsPatience is how long servers have to say at the beginning whether they have JetStream: those of a
// cluster that starts do not come up at the same moment.
const natsPatience = 5 * time.Second

// connect connects to servers with JetStream, for good: one that goes away later is waited for.
func (f *natsFlags) connect(ctx context.Context, a *app, url string) (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name("tickstorm"), nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				a.log.Warn("nats: the connection is lost", "err", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { a.log.Info("nats: connected again") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { a.log.Warn("nats", "err", err) }),
	}
	if f.Creds != "" {
		options = append(options, nats.UserCredentials(f.Creds))
	}
	if user := a.env(natsUser); user != "" {
		options = append(options, nats.UserInfo(user, a.env(natsPassword)))
	} else if token := a.env(natsToken); token != "" {
		options = append(options, nats.Token(token))
	}
	nc, err := nats.Connect(url, options...)
	switch {
	case errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired):
		return nil, &exitError{exitKey, err.Error()}
	case err != nil:
		return nil, err // which begins with nats: itself
	}
	ctx, cancel := context.WithTimeout(ctx, natsPatience)
	defer cancel()
	switch err := sinknats.Reach(ctx, nc); {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		err = fmt.Errorf("nats: the server at %s has no JetStream, which nats-server -js has", nc.ConnectedUrlRedacted())
		nc.Close()
		return nil, err
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		nc.Close()
		return nil, &exitError{exitKey, "nats: the account has no JetStream at this server"}
	}
	return nc, nil // another error may end, and if it does not the engine says so
}

// engine is JetStream at some servers, through a connection of its own; stop ends both.
func (f *natsFlags) engine(ctx context.Context, a *app, url string, cfg sinknats.Config) (_ *sinknats.Engine, stop func(), err error) {
	nc, err := f.connect(ctx, a, url)
	if err != nil {
		return nil, nil, err
	}
	e, err := sinknats.NewEngine(nc, cfg)
	if err != nil {
		if nc.IsConnected() { // it is what the user has said
			err = &usageError{err.Error()}
		}
		nc.Close()
		return nil, nil, err
	}
	return e, func() {
		_ = e.Close() // the connection goes with it
		nc.Close()
	}, nil
}

// serveNats starts a server of our own, which keeps its streams in a folder: one for the time of the
// command alone where dir is "". What is returned beside the URL ends it.
func (a *app) serveNats(dir, address string) (url string, stop func(), err error) {
	host, text, err := net.SplitHostPort(address)
	port, perr := strconv.Atoi(text)
	if err != nil || perr != nil || port < 0 || port > math.MaxUint16 {
		return "", nil, usagef("%q is no address: write one like %s", address, natsAddress)
	}
	if !isLoopback(host) {
		return "", nil, usagef("%s: the embedded server asks nobody for a password, and is for this machine alone; run nats-server, and say --url", address)
	}
	remove := func() {}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "tickstorm-demo-"); err != nil {
			return "", nil, err
		}
		remove = func() { _ = os.RemoveAll(dir) }
	}
	if port != 0 { // which tells better than a server that does not come up
		l, err := net.Listen("tcp", address)
		if err == nil {
			err = l.Close()
		}
		if err != nil {
			remove()
			return "", nil, fmt.Errorf("the embedded server: %w; is there one already? --url nats://%s", err, address)
		}
	}
	server, err := embedded.Start(embedded.Config{Dir: dir, Host: host, Port: port})
	if err != nil {
		remove()
		return "", nil, err
	}
	return server.URL(), func() {
		server.Close()
		remove()
	}, nil
}
