package redisstore

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"strings"

	"dekamond-otp/internal/otp"
)

// A partition is the beginning of the keys of one share of the phones. It contains a hash tag, so that a cluster keeps
// them all in one slot.
type partition string

// partitions returns as many partitions, under the client's prefix.
func partitions(c *Client, n int) []partition {
	all := make([]partition, n)
	for i := range all {
		all[i] = partition(fmt.Sprintf("%s{%d}:", c.prefix, i))
	}
	return all
}

func (s *Codes) partition(phone otp.Pseudonym) partition {
	h := fnv.New32a()
	_, _ = io.WriteString(h, string(phone))
	return s.partitions[h.Sum32()%uint32(len(s.partitions))]
}

func (p partition) outbox() string                   { return string(p) + "outbox" }
func (p partition) health() string                   { return string(p) + "health" }
func (p partition) sends(phone otp.Pseudonym) string { return string(p) + string(phone) + ":sends" }
func (p partition) wrong(phone otp.Pseudonym) string { return string(p) + string(phone) + ":wrong" }

func (p partition) challenge(phone otp.Pseudonym, purpose otp.Purpose) string {
	key := string(p) + string(phone) + ":code"
	if purpose != otp.ForLogin {
		key += ":" + string(purpose)
	}
	return key
}

// sendsOf returns the key of the sends to the phone whose challenge has this key.
func sendsOf(challenge string) string {
	phone, _, _ := strings.Cut(challenge, ":code")
	return phone + ":sends"
}

func (s *Codes) address(a otp.Pseudonym) string { return s.client.prefix + "{" + string(a) + "}:sends" }

func (s *Codes) handoff(h otp.Handoff) string {
	return s.client.prefix + "report:{" + h.Provider + ":" + h.ID + "}"
}

// A receipt is one send that was counted against an address. The zero receipt stands for none.
type receipt struct{ key, time string }

// String returns the receipt as it is stored in Redis and in an otp.Receipt.
func (r receipt) String() string {
	if r.key == "" {
		return ""
	}
	return r.key + " " + r.time
}

func parseReceipt(text string) (receipt, error) {
	key, time, ok := strings.Cut(text, " ")
	if !ok && text != "" {
		return receipt{}, errors.New("not a receipt")
	}
	return receipt{key, time}, nil
}
