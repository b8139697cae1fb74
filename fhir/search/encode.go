package search

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

// The tags of values; see the package comment.
const (
	tagCode         = 'c'
	tagSystemCode   = 's'
	tagFoldedCode   = 'f'
	tagFoldedSystem = 'g'
	tagText         = 't'
	tagWord         = 'm'
	tagLong         = 'l'
	tagReference    = 'R'
	tagIdentifier   = 'i'
	tagURI          = 'u'
	tagMoment       = 'd'
	tagNumber       = 'n'
	tagValue        = 'v'
	tagUnit         = 'u'
	tagPair         = 'x'
	tagOfType       = 'o'
	tagPosition     = 'p'
	tagPresent      = '-'
	// wide turns the tag of a narrow range into that of a wide one.
	wide = 'a' - 'A'
)

const (
	maxValue  = 1024
	cutValue  = 960
	maxPrefix = 512
)

// appendPart appends a part of a value; what is too long is cut and hashed.
func appendPart(dst, part []byte) []byte {
	if len(part) <= maxValue {
		return append(dst, part...)
	}
	sum := sha256.Sum256(part)
	dst = append(dst, part[:cutValue]...)
	dst = append(dst, 0, 1)
	return append(dst, sum[:]...)
}

func appendBounds(dst []byte, low, high uint64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, low)
	return binary.BigEndian.AppendUint64(dst, high)
}

// appendEscaped appends a value so that no other escaped value starts with it.
func appendEscaped(dst, value []byte) []byte {
	for _, b := range value {
		dst = append(dst, b)
		if b == 0 {
			dst = append(dst, 0xff)
		}
	}
	return append(dst, 0, 1)
}

// appendSystemCode appends what tags s and g are followed by.
func appendSystemCode(dst, system, code []byte) []byte {
	dst = append(appendPart(dst, system), 0)
	return appendPart(dst, code)
}

// appendFolded is code with its case folded, cut like any part.
func appendFolded(dst, code []byte, scratch *[]byte) []byte {
	*scratch = foldCode((*scratch)[:0], code)
	return appendPart(dst, *scratch)
}

// appendString appends what tag t is followed by: the folded text, then the
// exact one. scratch are two working memories.
func appendString(dst, s []byte, fold, norm *[]byte) []byte {
	*fold, *norm = foldText((*fold)[:0], s, *norm)
	dst = append(dst, (*fold)[:min(len(*fold), maxPrefix)]...)
	return appendPart(append(dst, 0), s)
}

// legible says that a value can be part of an entry.
func legible(b []byte) bool { return len(b) > 0 && bytes.IndexByte(b, 0) < 0 }
