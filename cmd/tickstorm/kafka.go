package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	sinkkafka "github.com/tickstorm/tickstorm/sink/kafka"
)

// kafkaPassword is the variable of the environment that has the password.
const kafkaPassword = "KAFKA_PASSWORD"

// kafkaFlags say where Kafka is, who one is there, and how a market lies in it: what a sink and its
// consumers have to agree on.
type kafkaFlags struct {
	Brokers      []string `placeholder:"HOST:PORT,..." group:"kafka" help:"Where the cluster is looked for."`
	TLS          bool     `name:"tls" group:"kafka" help:"Encrypt the connections."`
	TLSCA        string   `name:"tls-ca" placeholder:"FILE" group:"kafka" help:"Certificates to trust instead of the system's; implies --tls."`
	SASL         string   `name:"sasl" enum:",${kafka_mechanisms}" default:"" placeholder:"MECHANISM" group:"kafka" help:"How one says who one is: ${enum}; PLAIN needs --tls."`
	User         string   `placeholder:"NAME" group:"kafka" help:"Who one is. The password is in KAFKA_PASSWORD, or in a file."`
	PasswordFile string   `placeholder:"FILE" group:"kafka" help:"File with the password."`
	Prefix       string   `default:"md" placeholder:"NAME" group:"kafka" help:"What all topics begin with."`
	Partitions   int      `default:"8" placeholder:"N" group:"kafka" help:"Partitions of each topic, each with its share of the symbols: the same for a sink and its consumers."`
}

func (f *kafkaFlags) check() error {
	if len(f.Brokers) == 0 {
		return usagef("say where Kafka is: --brokers HOST:PORT,...")
	}
	if f.Partitions < 1 || f.Partitions > sinkkafka.MaxPartitions {
		return usagef("--partitions is from 1 to %d", sinkkafka.MaxPartitions)
	}
	if (f.SASL == "") != (f.User == "") {
		return usagef("--sasl and --user go together")
	}
	return nil
}

func (f *kafkaFlags) layout() sinkkafka.Layout {
	return sinkkafka.Layout{Prefix: f.Prefix, Partitions: f.Partitions}
}

// cluster is where Kafka is, with who one is.
func (f *kafkaFlags) cluster(a *app) (at sinkkafka.Cluster, err error) {
	at.Brokers = f.Brokers
	if f.TLS || f.TLSCA != "" {
		at.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if f.TLSCA != "" {
		text, err := os.ReadFile(f.TLSCA)
		if err != nil {
			return at, usagef("--tls-ca: %v", err)
		}
		at.TLS.RootCAs = x509.NewCertPool()
		if !at.TLS.RootCAs.AppendCertsFromPEM(text) {
			return at, usagef("--tls-ca: %s has no certificate", f.TLSCA)
		}
	}
	if f.SASL == "" {
		return at, nil
	}
	at.Auth = sinkkafka.Auth{Mechanism: f.SASL, User: f.User, Password: a.env(kafkaPassword)}
	if f.PasswordFile != "" {
		text, err := os.ReadFile(f.PasswordFile)
		if err != nil {
			return at, &exitError{exitKey, "the password cannot be read: " + err.Error()}
		}
		at.Auth.Password = strings.TrimRight(string(text), "\r\n")
	}
	if at.Auth.Password == "" {
		return at, &exitError{exitKey, "there is no password: put it in " + kafkaPassword + ", or in a file for --password-file"}
	}
	return at, nil
}

// kafkaPatience is how long a cluster has to say at the beginning that it is there.
const kafkaPatience = 10 * time.Second

// reach finds out whether the cluster is there; one that goes away later is waited for.
func (f *kafkaFlags) reach(ctx context.Context, at *sinkkafka.Cluster) error {
	ctx, cancel := context.WithTimeout(ctx, kafkaPatience)
	defer cancel()
	err := at.Ping(ctx)
	switch {
	case sinkkafka.Refused(err):
		return &exitError{exitKey, err.Error()}
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("kafka: nobody answers at %s: %w", strings.Join(f.Brokers, ","), err)
	}
	return err
}
