package rivals

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

// gJSON looks at each value once, in their order, where a path for every field would
// begin at the front again. It validates nothing but the end, since gjson has a pass of
// its own for that. The callbacks are made once: each method value would allocate.
type gJSON struct {
	events events
	sum    *bench.Checksum
	err    error

	onElement, onValue, onNumber, onLevel, onPart func(key, value gjson.Result) bool

	list   *[]int32
	levels *[]tickstorm.Level
	pair   [2]float64
	parts  int
}

func newGJSON(m tickstorm.Market) bench.Decoder {
	d := &gJSON{events: events{market: m}}
	d.onElement, d.onValue, d.onNumber, d.onLevel, d.onPart = d.element, d.value, d.number, d.level, d.part
	return d
}

func (d *gJSON) Decode(msg []byte, sum *bench.Checksum) error {
	d.sum, d.err = sum, nil
	array := gjson.Parse(view(msg))
	if !array.IsArray() || !strings.HasSuffix(array.Raw, "}]") {
		return errMalformed
	}
	array.ForEach(d.onElement)
	return d.err
}

func (d *gJSON) element(_, element gjson.Result) bool {
	ev := eventOf(bytesOf(element.Raw))
	if !d.events.start(view(ev)) {
		d.err = unexpected(ev)
		return false
	}
	element.ForEach(d.onValue)
	d.events.fold(&d.events, d.sum)
	return true
}

func (d *gJSON) value(key, value gjson.Result) bool {
	switch p := d.events.field(&d.events, key.Str).(type) {
	case *float64:
		*p = value.Num
	case *tickstorm.Timestamp:
		*p = tickstorm.Timestamp(value.Int())
	case *int64:
		*p = value.Int()
	case *int32:
		*p = int32(value.Int())
	case *string:
		*p = value.Str
	case *[]byte:
		*p = bytesOf(value.Str)
	case *tickstorm.Decimal:
		*p = decimal(bytesOf(value.Str))
	case *bool:
		*p = value.Bool()
	case *[]int32:
		d.list = p
		if value.Type == gjson.Number {
			return d.number(key, value)
		}
		value.ForEach(d.onNumber)
	case *[]tickstorm.Level:
		d.levels = p
		value.ForEach(d.onLevel)
	}
	return true
}

func (d *gJSON) number(_, value gjson.Result) bool {
	*d.list = append(*d.list, int32(value.Int()))
	return true
}

func (d *gJSON) level(_, value gjson.Result) bool {
	d.parts = 0
	value.ForEach(d.onPart)
	*d.levels = append(*d.levels, tickstorm.Level{Price: d.pair[0], Size: d.pair[1]})
	return true
}

func (d *gJSON) part(_, value gjson.Result) bool {
	if d.parts < len(d.pair) {
		d.pair[d.parts] = value.Num
	}
	d.parts++
	return true
}
