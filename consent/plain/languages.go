package plain

// The other languages have what was put into them so far; a whole sentence that
// they lack a word of is said in English. A message is added under its key, and
// its parts in braces are those of the English one.

//nolint:gochecknoglobals // a table that never changes
var chinese = map[string]string{
	"list.comma": "、", "list.and": "{some}和{last}", "you.own": "您", "your.own": "您的", "you.other": "病人", "your.other": "病人的",
	"who.you": "您", "who.patient": "病人",
	"purpose.TREAT": "治疗", "purpose.ETREAT": "紧急治疗", "purpose.BTG": "紧急情况",
	"level.basic":  "只限基本资料",
	"type.Patient": "个人资料", "type.AllergyIntolerance": "过敏", "type.Immunization": "疫苗接种", "type.MedicationRequest": "药方", "type.Condition": "诊断", "type.Appointment": "预约",
}

//nolint:gochecknoglobals // a table that never changes
var malay = map[string]string{
	"list.comma": ", ", "list.and": "{some} dan {last}", "you.own": "anda", "your.own": "anda", "you.other": "pesakit", "your.other": "pesakit",
	"who.you": "Anda", "who.patient": "Pesakit",
	"purpose.TREAT": "Rawatan", "purpose.ETREAT": "Rawatan kecemasan", "purpose.BTG": "Kecemasan",
	"level.basic":  "Set asas sahaja",
	"type.Patient": "butiran peribadi", "type.AllergyIntolerance": "alahan", "type.Immunization": "vaksinasi", "type.MedicationRequest": "preskripsi", "type.Condition": "diagnosis", "type.Appointment": "janji temu",
}

//nolint:gochecknoglobals // a table that never changes
var tamil = map[string]string{
	"list.comma": ", ", "list.and": "{some} மற்றும் {last}",
	"who.you": "நீங்கள்", "who.patient": "நோயாளி",
	"purpose.TREAT": "சிகிச்சை", "purpose.ETREAT": "அவசர சிகிச்சை", "purpose.BTG": "அவசரநிலை",
	"type.AllergyIntolerance": "ஒவ்வாமைகள்", "type.Immunization": "தடுப்பூசிகள்",
}
