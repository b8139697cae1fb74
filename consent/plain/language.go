// Package plain owns the words in which people are told about a record: who looked
// and what for, who could see what, and why an access was decided as it was. It
// makes visits of events, and sentences of visits, in the languages that there are.
// It decides nothing and it looks nothing up: names and decisions are given to it,
// by gate, and how its words are sent is fhir/rest's.
//
// What it says of an event is what a patient may know (DOSSIER §3.5): never who a
// professional is, from where, by what token, or in what words a reason was given.
package plain

import (
	"slices"
	"strconv"
	"strings"
)

// Language is one that people are told in. The zero value is English, which has
// every message; what another lacks is said in English.
type Language uint8

// The languages.
const (
	English Language = iota
	Chinese
	Malay
	Tamil
	languages
)

// Tag is the language as BCP 47 has it.
func (l Language) Tag() string {
	switch l {
	case Chinese:
		return "zh"
	case Malay:
		return "ms"
	case Tamil:
		return "ta"
	case English, languages:
		return "en"
	default:
		return "en"
	}
}

// messages are the catalogue of the language.
func (l Language) messages() map[string]string {
	switch l {
	case Chinese:
		return chinese
	case Malay:
		return malay
	case Tamil:
		return tamil
	case English, languages:
		return english
	default:
		return english
	}
}

// acceptMost is how many ranges of an Accept-Language are read.
const acceptMost = 32

// Choose is the language that suits an Accept-Language best (RFC 9110 §12.5.4); a
// single tag is one. English where nothing suits.
func Choose(accept string) Language {
	best, weight := English, -1.0
	for i, part := range strings.SplitN(accept, ",", acceptMost+1) {
		if i == acceptMost {
			break
		}
		tag, params, _ := strings.Cut(part, ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(v, 64); err != nil {
				continue
			}
		}
		primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		for l := English; l < languages; l++ {
			if (primary == l.Tag() || primary == "*" && l == English) && q > 0 && q > weight {
				best, weight = l, q
			}
		}
	}
	return best
}

// Reader is who is told. The zero value is somebody else than the patient.
type Reader struct {
	// Patient says that it is the patient, who is called "you".
	Patient bool
	// User is the RelatedPerson who reads for the patient; empty for none.
	User string
}

// Speaker says things in one language, to one reader. It is not safe for
// concurrent use.
type Speaker struct {
	want   Language
	reader Reader
	spoken [languages]bool
}

// NewSpeaker speaks the language to the reader.
func NewSpeaker(l Language, r Reader) *Speaker {
	if l >= languages {
		l = English
	}
	return &Speaker{want: l, reader: r}
}

// Languages are those in which something was said so far, as Content-Language has
// them.
func (s *Speaker) Languages() string {
	var tags []string
	for _, l := range slices.Compact([]Language{s.want, English}) {
		if s.spoken[l] {
			tags = append(tags, l.Tag())
		}
	}
	return strings.Join(tags, ", ")
}

// words are what one message is put together from, in one language.
type words struct {
	messages map[string]string
	reader   Reader
	// missed says that the language lacks something.
	missed bool
}

// say builds a whole in the speaker's language or, where that lacks a word of it,
// in English: never half and half.
func (s *Speaker) say(build func(*words) string) string {
	w := words{messages: s.want.messages(), reader: s.reader}
	text, l := build(&w), s.want
	if w.missed {
		w = words{messages: english, reader: s.reader}
		text, l = build(&w), English
	}
	if text != "" {
		s.spoken[l] = true
	}
	return text
}

// word says one message.
func (s *Speaker) word(key string) string {
	return s.say(func(w *words) string { return w.put(key) })
}

// has reports whether the language has the message.
func (w *words) has(key string) bool {
	_, ok := w.messages[key]
	return ok
}

// put is the message, with pairs of a name in braces and what stands for it.
func (w *words) put(key string, pairs ...string) string {
	text, ok := w.messages[key]
	if !ok {
		w.missed = true
		return ""
	}
	you, your := "you.other", "your.other"
	if w.reader.Patient {
		you, your = "you.own", "your.own"
	}
	if strings.Contains(text, "{you") {
		pairs = append(pairs, "{you}", w.put(you), "{your}", w.put(your))
	}
	if len(pairs) == 0 {
		return text
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// list joins what is said one after the other.
func (w *words) list(all []string) string {
	switch len(all) {
	case 0:
		return ""
	case 1:
		return all[0]
	default:
		last := len(all) - 1
		return w.put("list.and", "{some}", strings.Join(all[:last], w.put("list.comma")), "{last}", all[last])
	}
}
