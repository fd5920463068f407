package rivals

import (
	jsoniter "github.com/json-iterator/go"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

// jsonIter reads key by key, each a string of its own: its decoders by tags allocate
// less and are slower.
type jsonIter struct {
	events events
	iter   *jsoniter.Iterator
}

func newJSONIter(m tickstorm.Market) bench.Decoder {
	return &jsonIter{events{market: m}, jsoniter.NewIterator(jsoniter.ConfigFastest)}
}

func (d *jsonIter) Decode(msg []byte, sum *bench.Checksum) error {
	it := d.iter.ResetBytes(msg)
	it.Error = nil
	e := &d.events
	for it.ReadArray() {
		if it.ReadObject() != "ev" {
			return errMalformed
		}
		if ev := it.ReadString(); !e.start(ev) {
			return unexpected(ev)
		}
		for key := it.ReadObject(); key != ""; key = it.ReadObject() {
			jsonIterValue(it, e.field(e, key))
		}
		if it.Error != nil {
			return it.Error
		}
		e.fold(e, sum)
	}
	return it.Error
}

func jsonIterValue(it *jsoniter.Iterator, field any) {
	switch p := field.(type) {
	case *float64:
		*p = it.ReadFloat64()
	case *tickstorm.Timestamp:
		*p = tickstorm.Timestamp(it.ReadInt64())
	case *int64:
		*p = it.ReadInt64()
	case *int32:
		*p = it.ReadInt32()
	case *string:
		*p = it.ReadString()
	case *[]byte:
		*p = it.ReadStringAsSlice()
	case *tickstorm.Decimal:
		*p = decimal(it.ReadStringAsSlice())
	case *bool:
		*p = it.ReadBool()
	case *[]int32:
		if it.WhatIsNext() == jsoniter.NumberValue {
			*p = append(*p, it.ReadInt32())
			return
		}
		for it.ReadArray() {
			*p = append(*p, it.ReadInt32())
		}
	case *[]tickstorm.Level:
		for it.ReadArray() {
			var pair [2]float64
			n := 0
			for ; it.ReadArray() && n < 2; n++ {
				pair[n] = it.ReadFloat64()
			}
			*p = append(*p, tickstorm.Level{Price: pair[0], Size: pair[1]})
		}
	default:
		it.Skip()
	}
}
