package search

import (
	"math"
	"strconv"
	"strings"

	"vitrine/fhir"
)

// earthRadius is the mean radius of the earth in metres. Distances are those on a
// sphere of it, which differ by half a percent at most from those on the ground.
const earthRadius = 6371008.8

// nearDistance is what counts as near when no distance is given, in metres; R4
// leaves it to the server.
const nearDistance = 10000

// strips is how many bands of latitude cover a circle. Together they are a
// twentieth larger than it at most.
const strips = 32

// degreeKey maps degrees to keys in their order: billionths of a degree, which
// are a tenth of a millimetre.
func degreeKey(degrees float64, round func(float64) float64) uint64 {
	return uint64(round((degrees + 400) * 1e9))
}

// position adds the place of a Location (R4 location.html#near). One outside of
// what degrees there are is none.
func (w *walker) position(a *action, n fhir.Node) {
	latitude, ok := w.degrees(w.tape.Field(n, "latitude"), 90)
	longitude, also := w.degrees(w.tape.Field(n, "longitude"), 180)
	if !ok || !also {
		return
	}
	if longitude == 180 {
		longitude = -180
	}
	at := w.out.begin(tagPosition)
	w.out.buf = appendBounds(w.out.buf, degreeKey(latitude, math.Round), degreeKey(longitude, math.Round))
	w.out.commit(a.param, at)
}

func (w *walker) degrees(n fhir.Node, most float64) (float64, bool) {
	if w.tape.Kind(n) != fhir.Number {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(w.tape.Raw(n)), 64)
	return f, err == nil && math.Abs(f) <= most
}

// nearMatches understands latitude|longitude|distance|units: kilometres when no
// unit is given. Boxes that cover the circle stand for it: never less, and at
// most a twentieth more.
func nearMatches(p Param, v string) ([]Match, *fault) {
	parts, _ := splitEscaped(v, '|')
	if len(parts) < 2 || len(parts) > 4 {
		return nil, bad("must be latitude|longitude|distance|units; the distance and its units may be left out")
	}
	latitude, ok := degreesOf(parts[0], 90)
	longitude, also := degreesOf(parts[1], 180)
	if !ok || !also {
		return nil, bad("must begin with a latitude between -90 and 90 and a longitude between -180 and 180")
	}
	metres := float64(nearDistance)
	if len(parts) > 2 && parts[2] != "" {
		distance, err := strconv.ParseFloat(parts[2], 64)
		if err != nil || !(distance >= 0) || math.IsInf(distance, 0) {
			return nil, bad("has a distance that is no number, 0 or more")
		}
		unit := "km"
		if len(parts) == 4 && parts[3] != "" {
			unit = unescape(parts[3])
		}
		factor, ok := metresIn(unit)
		if !ok {
			return nil, bad("has units that are no length; km, m, mi and those of UCUM are known")
		}
		metres = distance * factor
	}
	var out []Match
	for _, b := range covering(latitude, longitude, metres/earthRadius) {
		out = append(out, ranged(p, tagPosition, nil, b))
	}
	return out, nil
}

func degreesOf(v string, most float64) (float64, bool) {
	if strings.ContainsAny(v, "xXpP_") { // hexadecimal is no degree
		return 0, false
	}
	f, err := strconv.ParseFloat(v, 64)
	return f, err == nil && math.Abs(f) <= most
}

// circle is a centre and a radius, in radians.
type circle struct{ latitude, longitude, radius float64 }

// covering are boxes of latitude and longitude that cover a circle round a place
// in degrees, of a radius in radians. They do not overlap but at their edges.
func covering(latitude, longitude, radius float64) []Bounds {
	const degree = math.Pi / 180
	c := circle{latitude * degree, longitude * degree, radius + 1e-11} // what rounding may take away
	south, north := max(c.latitude-c.radius, -math.Pi/2), min(c.latitude+c.radius, math.Pi/2)
	var out []Bounds
	for i := range strips {
		// narrower where the circle's edge runs along them
		at := func(i int) float64 { return south + (north-south)*(1-math.Cos(math.Pi*float64(i)/strips))/2 }
		from, to := at(i), at(i+1)
		out = c.strip(out, from, to)
	}
	return out
}

// strip appends the boxes of one band of latitude: two when they cross the date
// line.
func (c circle) strip(dst []Bounds, south, north float64) []Bounds {
	const radian = 180 / math.Pi
	half := c.width(south, north) * radian
	centre := c.longitude * radian
	box := func(west, east float64) {
		dst = append(dst, Bounds{
			LowMin: degreeKey(south*radian, math.Floor), LowMax: degreeKey(north*radian, math.Ceil),
			HighMin: degreeKey(west, math.Floor), HighMax: degreeKey(east, math.Ceil),
		})
	}
	west, east := centre-half-1e-9, centre+half+1e-9
	switch {
	case half >= 180:
		box(-180, 180)
	case west < -180:
		box(-180, east)
		box(west+360, 180)
	case east >= 180:
		box(west, 180)
		box(-180, east-360)
	default:
		box(west, east)
	}
	return dst
}

// width is the greatest distance in longitude that the circle reaches within a
// band of latitude: at one of its edges, or where its sides run north.
func (c circle) width(south, north float64) float64 {
	widest := max(c.reach(south), c.reach(north))
	if s := math.Sin(c.latitude) / math.Cos(c.radius); c.radius < math.Pi/2 && math.Abs(s) <= 1 {
		if turn := math.Asin(s); turn > south && turn < north {
			widest = max(widest, c.reach(turn))
		}
	}
	return widest
}

// reach is how far in longitude the circle goes at a latitude; at the poles every
// longitude is one place.
func (c circle) reach(latitude float64) float64 {
	across := math.Cos(latitude) * math.Cos(c.latitude)
	if across < 1e-12 {
		return math.Pi
	}
	// by half angles: the cosine of a few metres has no digits to tell them by
	side, rise := math.Sin(c.radius/2), math.Sin((latitude-c.latitude)/2)
	return 2 * math.Asin(math.Sqrt(min(1, max(0, (side*side-rise*rise)/across))))
}
