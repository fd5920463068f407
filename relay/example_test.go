package relay_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/relay"
)

// Keys come from a file, which is read again when it has changed. A new one that is broken leaves
// the keys as they were.
func ExampleLoadKeys() {
	dir, err := os.MkdirTemp("", "relay")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "keys.json")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			log.Fatal(err)
		}
	}
	write(`{
  "keys": [
    {"name": "desk", "token": "8f14e45fceea167a5a36dedd4bea2543", "policy": {"wildcards": true}},
    {"name": "hall", "token": "c9f0f895fb98ab9159f51fd0297e236d", "policy": {
      "channels": ["AM"], "symbols": ["SPY", "QQQ", "BRK*"], "max_topics": 10, "overflow": "conflate"
    }}
  ]
}`)
	keys, err := relay.LoadKeys(path)
	if err != nil {
		log.Fatal(err)
	}
	_, err = relay.New(relay.Config{
		Upstreams: []tickstorm.Config{{Key: "the vendor's", Market: tickstorm.Stocks}},
		Keys:      keys,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(keys.Stats().Keys, "keys")

	write("{\n  \"keys\": [{\"nmae\": \"desk\"}]\n}")
	var bad *relay.KeysError
	if err := keys.Reload(); errors.As(err, &bad) {
		fmt.Printf("%s, line %d: %v\n", filepath.Base(bad.Path), bad.Line, bad.Err)
	}
	fmt.Println(keys.Stats().Keys, "keys")
	// Output:
	// 2 keys
	// keys.json, line 2: there is no field "nmae" here: there are name, token, policy
	// 2 keys
}
