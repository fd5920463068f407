package tickstorm_test

import (
	"fmt"

	"github.com/tickstorm/tickstorm"
)

// A relay that hands on what its clients have asked for, as it came. In a program the messages
// come from a RawHandler.
func ExampleSplitter() {
	wanted := map[tickstorm.Topic]bool{
		{Channel: "T", Symbol: "AAPL"}:        true,
		{Channel: "Q", Symbol: tickstorm.All}: true,
	}
	message := []byte(`[{"ev":"T","sym":"AAPL","p":187.3},{"ev":"T","sym":"MSFT","p":415.1},{"ev":"Q","sym":"IBM","bp":230},"?"]`)

	s := tickstorm.NewSplitter(tickstorm.Stocks)
	for s.Reset(message); s.Next(); {
		e := s.Element()
		switch {
		case e.Err != nil:
			fmt.Println(e.Err)
		case wanted[tickstorm.Topic{Channel: e.Channel, Symbol: string(e.Symbol)}], // allocates no string
			wanted[tickstorm.Topic{Channel: e.Channel, Symbol: tickstorm.All}]:
			fmt.Printf("%s\n", message[e.Start:e.End])
		}
	}
	if err := s.Err(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"ev":"T","sym":"AAPL","p":187.3}
	// {"ev":"Q","sym":"IBM","bp":230}
	// element is no object
}
