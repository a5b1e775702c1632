"""What the people and animals of the sample world do, and which doings exclude each other.

Tamil forms: a phrase ending in a present stem (-கி, an ending of `lexicon.VERB_ENDINGS` follows), and a reworded one
ending in an adverbial participle (கொண்டிருக்கி- follows, with its sandhi already written).
"""

from hf_xling.sample.lexicon import Activity, Phrase

PEOPLE = ("person", "family")
ANIMALS = ("pet", "herd")
EVERYONE = PEOPLE + ANIMALS


def _activity(group: str, kinds: tuple[str, ...], places: str, *words: str) -> Activity:
    return Activity(Phrase(*words), group, kinds, tuple(places.split()))


# Rows of a table: what it is and English on the first line, Tamil on the second.
# fmt: off
ACTIVITIES = (
    _activity("read", PEOPLE, "park library home tree station classroom", "reading a book", "leafing through a volume",
              "ஒரு புத்தகத்தைப் படிக்கி", "நூல் ஒன்றை வாசித்துக்"),
    _activity("read", PEOPLE, "park stop office home restaurant", "reading a newspaper", "scanning the daily paper",
              "செய்தித்தாள் படிக்கி", "நாளிதழ் ஒன்றைப் புரட்டிக்"),
    _activity("read", PEOPLE, "office library classroom home", "writing a letter", "putting a message down on paper",
              "ஒரு கடிதம் எழுதுகி", "மடல் ஒன்றை வரைந்து"),
    _activity("play", PEOPLE, "park beach playground field street", "playing football", "kicking a ball about",
              "கால்பந்து விளையாடுகி", "பந்தை உதைத்து ஆடிக்"),
    _activity("play", PEOPLE, "park beach playground street", "playing cricket", "busy with a game of bat and ball",
              "கிரிக்கெட் விளையாடுகி", "மட்டைப்பந்து ஆடிக்"),
    _activity("play", PEOPLE, "park home library tree", "playing chess", "bent over a board of kings and pawns",
              "சதுரங்கம் விளையாடுகி", "செஸ் ஆட்டத்தில் ஈடுபட்டுக்"),
    _activity("play", PEOPLE, "park beach playground field", "flying a kite", "keeping a paper toy up in the wind",
              "பட்டம் விடுகி", "காற்றாடியைப் பறக்கவிட்டுக்"),
    _activity("play", PEOPLE, "beach playground", "building a sandcastle", "shaping a fort out of sand",
              "மணற்கோட்டை கட்டுகி", "மணலால் கோட்டை ஒன்றை அமைத்துக்"),
    _activity("work", PEOPLE, "kitchen yard restaurant", "cooking rice", "preparing a pot of grain",
              "சோறு சமைக்கி", "அரிசியை வேகவைத்துக்"),
    _activity("work", PEOPLE, "kitchen yard restaurant market", "cutting vegetables", "chopping up some greens",
              "காய்கறிகளை வெட்டுகி", "காய்களை நறுக்கிக்"),
    _activity("work", PEOPLE, "park yard field temple", "watering plants", "giving the saplings a drink",
              "செடிகளுக்குத் தண்ணீர் ஊற்றுகி", "தாவரங்களுக்கு நீர் பாய்ச்சிக்"),
    _activity("work", PEOPLE, "park yard field playground river", "planting a tree", "setting a sapling in the soil",
              "ஒரு மரக்கன்று நடுகி", "மண்ணில் கன்று ஒன்றை ஊன்றிக்"),
    _activity("work", PEOPLE, "kitchen classroom hospital temple", "sweeping the floor", "clearing dust with a broom",
              "தரையைப் பெருக்குகி", "துடைப்பத்தால் தூசியைக் கூட்டிக்"),
    _activity("work", PEOPLE, "river yard", "washing clothes", "doing the laundry by hand",
              "துணி துவைக்கி", "ஆடைகளைச் சலவை செய்து"),
    _activity("work", PEOPLE, "workshop yard street", "repairing a bicycle", "fixing a broken bike",
              "ஒரு மிதிவண்டியைப் பழுதுபார்க்கி", "சைக்கிள் ஒன்றைச் சரிசெய்து"),
    _activity("work", PEOPLE, "workshop yard field", "sawing a plank", "cutting a board to size",
              "பலகையை அறுக்கி", "மரத்துண்டை வாளால் துண்டாக்கிக்"),
    _activity("work", PEOPLE, "street market station workshop", "carrying a heavy box", "hauling a weighty crate",
              "ஒரு கனமான பெட்டியைச் சுமக்கி", "பளுவான பெட்டகத்தைத் தூக்கிச் சென்று"),
    _activity("food", PEOPLE, "restaurant office home station stop", "drinking tea", "sipping a hot beverage",
              "தேநீர் குடிக்கி", "சூடான பானம் பருகிக்"),
    _activity("food", PEOPLE, "restaurant office classroom park tree", "eating lunch", "having the midday meal",
              "மதிய உணவு சாப்பிடுகி", "பகல் சாப்பாட்டை உண்டு"),
    _activity("food", PEOPLE, "beach park street restaurant", "eating ice cream", "enjoying a frozen dessert",
              "ஐஸ்கிரீம் சாப்பிடுகி", "பனிக்கூழைச் சுவைத்துக்"),
    _activity("trade", PEOPLE, "market street", "buying fruit", "paying for some mangoes and plantains",
              "பழங்கள் வாங்குகி", "கனிகளை விலைகொடுத்துப் பெற்றுக்"),
    _activity("trade", PEOPLE, "market street temple station", "selling flowers", "offering fresh blossoms for money",
              "பூக்கள் விற்கி", "மலர்களை விற்பனை செய்து"),
    _activity("move", PEOPLE, "street park path beach field", "riding a bicycle", "pedalling along on a bike",
              "மிதிவண்டி ஓட்டுகி", "சைக்கிளை மிதித்துச் சென்று"),
    _activity("move", PEOPLE, "path beach river", "climbing rocks", "scaling a stony slope",
              "பாறைகளில் ஏறுகி", "குன்றின் மேல் ஏறிச் சென்று"),
    _activity("move", EVERYONE, "park beach street field path", "walking slowly", "ambling at a leisurely pace",
              "மெதுவாக நடக்கி", "நிதானமாக உலாவிக்"),
    _activity("move", EVERYONE, "park beach field playground", "running fast", "sprinting at full speed",
              "வேகமாக ஓடுகி", "விரைந்து பாய்ந்து சென்று"),
    _activity("move", (*PEOPLE, "pet"), "pool lake", "swimming", "gliding through the water",
              "நீந்துகி", "நீச்சல் அடித்துக்"),
    _activity("move", ("pet",), "park beach yard playground street", "chasing a ball", "racing after a rolling toy",
              "பந்தைத் துரத்துகி", "உருளும் பந்தின் பின்னால் ஓடிக்"),
    _activity("move", ANIMALS, "park field river path", "jumping over a log", "leaping across a fallen trunk",
              "மரக்கட்டையைத் தாண்டுகி", "விழுந்த மரத்தின் மேல் குதித்துக்"),
    _activity("feed", ANIMALS, "river yard field lake temple", "drinking water", "quenching a thirst",
              "தண்ணீர் குடிக்கி", "தாகம் தீர நீர் அருந்திக்"),
    _activity("feed", ("herd",), "field park river yard", "eating grass", "grazing on fresh green blades",
              "புல் மேய்கி", "பசும்புல்லைத் தின்று"),
    _activity("rest", ANIMALS, "tree yard street temple", "sleeping on the ground", "dozing on the bare earth",
              "தரையில் தூங்குகி", "மண்ணில் படுத்து உறங்கிக்"),
    _activity("rest", ANIMALS, "street field yard river tree", "standing still", "staying motionless",
              "அசையாமல் நிற்கி", "ஆடாது அசையாது நின்று"),
    _activity("rest", PEOPLE, "park stop station hospital", "sleeping on a bench", "dozing on a long seat",
              "ஒரு பெஞ்சில் தூங்குகி", "நீள இருக்கையில் உறங்கிக்"),
    _activity("rest", PEOPLE, "stop street", "waiting for a bus", "standing by for the coach",
              "பேருந்துக்காகக் காத்திருக்கி", "பஸ் வரவை எதிர்பார்த்து நின்று"),
    _activity("rest", PEOPLE, "station", "waiting for a train", "standing by for the express",
              "ரயிலுக்காகக் காத்திருக்கி", "புகைவண்டியின் வரவை எதிர்பார்த்து நின்று"),
    _activity("talk", PEOPLE, "street office home stop hospital", "talking on the phone", "chatting over the telephone",
              "கைபேசியில் பேசுகி", "தொலைபேசி வழியாக உரையாடிக்"),
    _activity("art", PEOPLE, "stage park beach home street", "playing the guitar", "strumming a stringed instrument",
              "கிட்டார் வாசிக்கி", "கித்தாரின் தந்திகளை மீட்டிக்"),
    _activity("art", PEOPLE, "stage temple classroom home", "singing a song", "lifting the voice in a melody",
              "ஒரு பாடல் பாடுகி", "பாட்டு ஒன்றை இசைத்துக்"),
    _activity("art", PEOPLE, "stage street temple park", "dancing", "swaying to the beat of a tune",
              "நடனமாடுகி", "தாளத்திற்கு ஏற்ப ஆடிக்"),
    _activity("art", PEOPLE, "park classroom river tree home", "painting a picture", "putting colours on a canvas",
              "ஓவியம் வரைகி", "வண்ணப்படம் ஒன்றைத் தீட்டிக்"),
    _activity("art", PEOPLE, "beach temple path river market", "taking a photograph", "shooting with a camera",
              "புகைப்படம் எடுக்கி", "கேமராவால் படம் பிடித்துக்"),
    _activity("watch", PEOPLE, "home restaurant hospital", "watching television", "following a show on the box",
              "தொலைக்காட்சி பார்க்கி", "டிவி நிகழ்ச்சியைக் கண்டுகளித்துக்"),
    _activity("watch", PEOPLE, "office library classroom home", "using a computer", "tapping away at a keyboard",
              "கணினியைப் பயன்படுத்துகி", "கம்ப்யூட்டரின் விசைகளைத் தட்டிக்"),
    _activity("pray", PEOPLE, "temple home river", "praying to God", "offering worship to the Lord",
              "இறைவனை வணங்குகி", "கடவுளைத் தொழுது"),
)

# What every doing of a group entails; "feed" and "pray" have nothing more general to say.
GENERAL_ACTIVITIES = {
    group: _activity(group, EVERYONE, "", *words)
    for group, *words in (
        ("read", "busy with words", "occupied with a piece of text",
         "எழுத்தில் மூழ்குகி", "எழுத்துகளில் கவனம் செலுத்திக்"),
        ("play", "having fun", "engaged in a pastime",
         "விளையாடுகி", "பொழுதுபோக்கில் ஈடுபட்டுக்"),
        ("work", "doing some work", "occupied with a task",
         "ஏதோ வேலை செய்கி", "பணி ஒன்றில் முனைப்பாக இயங்கிக்"),
        ("food", "consuming something", "taking some food or drink",
         "எதையோ உட்கொள்கி", "உணவையோ பானத்தையோ ருசித்துக்"),
        ("trade", "doing business", "taking part in a trade",
         "வியாபாரம் செய்கி", "வணிகத்தில் பங்கேற்றுக்"),
        ("move", "moving about", "going from one spot to another",
         "நகர்கி", "ஓரிடத்திலிருந்து வேறோர் இடத்திற்குப் போய்க்"),
        ("rest", "staying in one place", "remaining at the same spot",
         "ஒரே இடத்தில் இருக்கி", "இடத்தை விட்டு நகராமல் தங்கிக்"),
        ("talk", "speaking to someone", "in conversation with another person",
         "யாரிடமோ பேசுகி", "மற்றொருவருடன் பேச்சு நடத்திக்"),
        ("art", "doing something artistic", "showing a creative skill",
         "ஒரு கலையில் ஈடுபடுகி", "படைப்புத் திறனை வெளிப்படுத்திக்"),
        ("watch", "looking at a screen", "facing a display",
         "ஒரு திரையைப் பார்க்கி", "திரை ஒன்றை நோக்கிக்"),
    )
}

# Groups that nobody does at once: the contradictions. One-sided on purpose (people do chat while they wait).
CLASHES = {
    "read": ("move", "art", "work", "trade"),
    "play": ("read", "food", "rest", "work", "watch", "trade"),
    "work": ("read", "rest", "art", "watch", "play"),
    "food": ("art", "work", "play"),
    "feed": ("move",),
    "trade": ("read", "rest", "play", "art"),
    "move": ("read", "rest", "watch"),
    "rest": ("move", "play", "work", "art", "trade"),
    "talk": ("art", "play", "work"),
    "art": ("read", "rest", "food", "work"),
    "watch": ("move", "play", "art", "trade"),
    "pray": ("move", "play", "trade"),
}

# Facts that a premise does not state; the first five suit animals too.
EXTRAS = tuple(
    Phrase(*words)
    for words in (
        ("for the first time", "as a first-ever attempt",
         "முதல் முறையாக", "முதன்முதலில்"),
        ("early in the morning", "at the break of day",
         "அதிகாலையில்", "விடியற்காலையில்"),
        ("late in the evening", "as night draws near",
         "மாலை நேரத்தில்", "இரவு நெருங்கும் வேளையில்"),
        ("after a long journey", "at the end of a tiring trip",
         "நீண்ட பயணத்திற்குப் பிறகு", "களைப்பூட்டும் பிரயாணம் முடிந்த பின்"),
        ("during a festival", "on a day of celebration",
         "திருவிழாவின்போது", "கொண்டாட்ட நாள் ஒன்றில்"),
        ("on a holiday", "with no duties for the day",
         "விடுமுறை நாளில்", "கடமைகள் இல்லாத தினத்தில்"),
        ("to win a prize", "hoping to earn an award",
         "பரிசு வெல்வதற்காக", "விருது பெறும் ஆசையில்"),
        ("to please a friend", "so as to make a pal happy",
         "ஒரு நண்பரை மகிழ்விப்பதற்காக", "தோழர் ஒருவரைச் சந்தோஷப்படுத்தும் நோக்கில்"),
        ("until a relative arrives", "pending the arrival of some kin",
         "ஓர் உறவினர் வரும் வரை", "சொந்தக்காரர் ஒருவர் வந்து சேரும் மட்டும்"),
        ("to forget a bad day", "with the aim of leaving troubles behind",
         "மோசமான நாளை மறப்பதற்காக", "கவலைகளைத் தொலைக்கும் எண்ணத்தில்"),
        ("before a wedding", "ahead of a marriage ceremony",
         "ஒரு திருமணத்திற்கு முன்", "கல்யாணம் ஒன்று நடக்கவிருக்கும் நேரத்தில்"),
        ("with the help of a neighbour", "assisted by the folks next door",
         "அண்டை வீட்டாரின் உதவியுடன்", "பக்கத்து வீட்டுக்காரர் துணையோடு"),
        ("on a birthday", "to mark another year of life",
         "பிறந்தநாளன்று", "இன்னொரு வயது நிறைவடையும் தினத்தில்"),
        ("against the advice of a doctor", "despite medical warnings",
         "மருத்துவரின் அறிவுரைக்கு மாறாக", "வைத்தியர் எச்சரித்தும்"),
    )
)
# fmt: on
ANIMAL_EXTRAS = EXTRAS[:5]
