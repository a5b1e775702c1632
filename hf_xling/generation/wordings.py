"""Pieces of patterns for what chat models say around an answer; `hf_xling.generation.chatter` puts them together.

The wordings are those of small and large chat models, in English, Tamil, Hindi, Swahili, Spanish and French. Python's
`\\w` leaves out the vowel signs of Indic scripts, so patterns that reach into them end words at white space and colons
instead.
"""

# What a line says that speaks of the task and not of the world.
TASK = (
    r"(?:paraphras|rephras|translat|summar|rewrit|rewrote|re-?word|restat|shuffl|scrambl|re-?order|re-?arrang|synonym"
    r"|simplif|reformul|parafras|paráfras|traduc|traduz|tradui|traduç|resumen|résum|réécri|reescri|umformul|umschr|übersetz|zusammenfass"
    r"|riformul|riscri|riassun|అనువాద|సారాంశ"
    r"|மொழிபெயர்|மொழியாக்க|अनुवाद|सारांश|पुनर्लेखन|tafsiri|muhtasari)[^\s:]{0,30}"
)
HERE = (
    r"(?:here(?:['’]?s| is| are)|below (?:is|are)|(?:the )?following (?:is|are)|this is"
    r"|இதோ|இங்கே|यहाँ|यहां|ये रहा|यह रहा|hapa (?:ni|kuna)|hii (?:hapa )?ni"
    r"|aquí (?:está|tienes?|te dejo|va)|ést[ae] es|est[ae] es|a continuación|voici|voilà|ci-dessous|hier (?:ist|sind)"
    r"|ecco|aqui (?:está|vai)|ఇక్కడ|ఇదిగో)"
)
SURE = (
    r"[¡]?(?:sure(?: thing)?|certainly|of course|absolutely|ok|okay|great|alright|all right|got it|gladly|no problem"
    r"|i(?:['’]d| would|['’]m| am) (?:be )?(?:happy|glad) to help(?: you)?(?: with that)?"
    r"|நிச்சயமாக|சரி|ज़रूर|जरूर|बिल्कुल|hakika|bila shaka|sawa|claro(?: que sí)?|por supuesto|desde luego|con gusto"
    r"|bien sûr|d['’]accord|avec plaisir|certainement|natürlich|gerne|klar|certo|certamente|com certeza"
    r"|తప్పకుండా)[\s!.,;:–—-]{0,6}"
)
GREETING = r"(?:hello|hi(?: there)?|hey|great question|happy to help|as (?:you )?requested)[\s!.,;:–—-]{0,6}"
# What may be said before an answer on the same line, where the source has no such word
YES = (
    r"(?:yes|sure(?: thing)?|certainly|of course|absolutely|okay|ok|great(?: question)?|got it|no problem|hello"
    r"|hi(?: there)?|(?:i['’]d be )?happy to help"
    r"|(?:let me|i can|i(?:['’]ll| will)) help(?: you)?(?: with (?:this|that|it))?)"
)
YES_WORDS = (
    r"(?<!\w)(?:yes|yeah|sure|ok|okay|certainly|course|absolutely|great|good|got|problem|help|hello|hi|hey)(?!\w)"
)
ARTICLE = r"(?:(?:the|a|an|one|my|your|possible|la|el|una?|une|le)\s)?"
MANNER = r"possible|another|new|concise|short|brief|simple|formal|informal|final|literal|one|sentence|word"
NOUN = r"(?:sentence|text|phrase|statement|passage|paragraph|version|wording|oración|frase|वाक्य|வாக்கியம்)s?"
THING = r"(?:\s(?:sentences?|text|versions?|statement|phrase|premise|hypothesis|output|words?|replacements?|order))?"
BLANK = "[ \t\u00a0\u202f]"
END = rf"{BLANK}{{0,3}}[*_]{{0,3}}{BLANK}{{0,3}}[:：]{BLANK}{{0,3}}[*_]{{0,3}}"
# A colon, the end of the line, or quotation marks
LINE_END = rf"(?:{END}|[.!]?[ \t]{{0,3}}\n|{BLANK}(?:as{BLANK})?(?=[\"“„«]))"
ORNAMENT = r"[\s*_#>-]{0,8}"
LABELS = (
    r"(?:final\s)?answer|response|output|result|sentence|text|alternative|final|r|résultat|original|input|user|human|question|q|a"
    r"|(?:ai\s)?assistant|ai|bot|chatbot|model|chatgpt|gpt-?\d?|llama|gemma|gemini|qwen|mistral"
    r"|(?:my|alternative|suggested|new|revised|modified|changed|updated|resulting|original|given|input|output|target|source|final|first|second)\s(?:sentence|text|version"
    r"|statement|option|attempt)"
)
# Labels in other languages, as whole words: a place or a person may begin as they do ("தமிழ்நாடு: …").
FOREIGN = (
    r"தமிழ்|தமிழில்|இதன்|தமிழாக்கம்|ஆங்கிலம்|ஆங்கிலத்தில்|மொழிபெயர்ப்பு|மொழியாக்கம்|வாக்கியம்|பதில்|விடை|சுருக்கம்|உதவியாளர்|பயனர்"
    r"|हिंदी|हिन्दी|अंग्रेज़ी|अंग्रेजी|अनुवाद|अनुवादित|वाक्य|उत्तर|जवाब|सारांश|में|का|सहायक|उपयोगकर्ता"
    r"|తెలుగు|తెలుగులో|ఆంగ్లం|అనువాదం|సమాధానం|జవాబు|వాక్యం|సారాంశం|సహాయకుడు|kiswahili|kiingereza|tafsiri|sentensi|jibu|muhtasari|ya|kwa"
    r"|español|inglés|en|al|traducción|respuesta|oración|frase|paráfrasis|resumen|asistente|usuario"
    r"|français|anglais|traduction|réponse|phrase|résumé|reformulation|utilisateur"
    r"|deutsch|übersetzung|antwort|umformulierung|umformulierter|satz|zusammenfassung|ergebnis"
    r"|italiano|traduzione|risposta|parafrasi|riassunto|português|tradução|resposta|paráfrase|resumo"
)
IS = r"(?:is|are|would be|could be|can be|will be|becomes|reads|sería|es|est|serait)"
SAY = r"(?:say|put|phrase|express|write|read|be (?:said|put|written|expressed|read))"
NOTE = (
    r"\n[ \t]{0,3}[*_(\[]{0,4}(?:(?:please )?note|explanation|translation notes?|transliteration|pronunciation"
    r"|(?:(?:key|main)\s)?changes(?: made)?|குறிப்பு|விளக்கம்|नोट|टिप्पणी|व्याख्या|kumbuka|maelezo"
    r"|nota|explicación|remarque|explication)(?!\w)[^\n:]{0,40}:"
)
# What is said of a sentence and never of the world, unless the source is about language: a source with one of these
# words excuses all of them.
OF_LANGUAGE = (
    rf"(?:{TASK}|(?<!\w)(?:{NOUN}|synonyms?|meanings?|original|grammar\w*|word order|words?|oraciones|traducción"
    r"|significado|traduction|sens|mots?|palabras?)(?!\w)|வாக்கிய|அசல்|சொல்|शब्द|मूल|वाक्य)"
)
CHANGED = (
    r"(?:i(?:['’]ve| have)? (?:\w+ )?(?:replaced|changed|kept|used|added|removed|made|tried|rephrased|paraphrased"
    r"|translated|shuffled|rearranged|reordered|rewrote|rewritten|simplified)|he (?:cambiado|usado|reemplazado)"
    r"|j['’]ai (?:changé|remplacé|utilisé))(?!\w)"
)
# A sentence about the answer
ABOUT = (
    rf"(?:(?:in |for )?(?:the|this|your|my|la|esta|cette)\s(?:[^\s.:]{{1,20}}\s){{0,3}}(?:{NOUN}|{TASK})(?!\w)"
    rf"|i(?:['’]ve| have)? (?:\w+ )?{TASK}|{CHANGED}(?=[^\n]{{0,160}}{OF_LANGUAGE}|[^\n]{{0,80}} (?:to|with|by|for)\s))"
)
OFFER = (
    r"(?:(?:please )?let me know (?:if|whether|how|what)|(?:is|was) there anything else|(?:please )?feel free to"
    r"|would you like (?:me|to|another|more|a)|do you (?:want|need|have) (?:me|another|more|any)"
    r"|(?:i )?hope (?:this|that|it) (?:helps?|is helpful|works|meets|is what|paraphrase|translation|version)"
    r"|if you(?:['’]d| would)? (?:need|have|want|like) (?:any|more|further|me|another|to|help)"
    r"|(?:how|what) (?:else )?(?:can|may) i (?:help|assist|do)|(?:can|may) i help you|i can also"
    r"|i(?:['’]m| am) (?:happy|glad|here) to|any (?:other|more|further) questions"
    r"|how (?:does|is|about) (?:that|this)|is (?:this|that) (?:ok|okay|what|correct|good|fine)|anything else\?"
    r"|happy to help|want (?:another|more|me to)|shall i"
    r"|you(?:['’]re| are) (?:very |most )?welcome[.!]"
    r"|(?:thanks|thank you)(?: for|[.!])|best regards|you can ask|does (?:this|that|it) (?:help|work|sound|look|make)"
    r"|¿(?:hay algo|necesitas|quieres|te gustaría|puedo)|espero que (?:esto|te|le)|avísame si|no dudes en|si necesitas"
    r"|y a-t-il autre|(?:souhaitez|voulez|avez)-vous|puis-je|n['’]hésite[zs] pas|j['’]espère que|faites-moi savoir"
    r"|क्या (?:मैं|आपको|कोई)|(?:आशा|उम्मीद) है कि यह|(?:यदि|अगर) आपको|वேறு|வேறு (?:ஏதாவது|ஏதேனும்)|உங்களுக்கு (?:வேறு|மேலும்)"
    r"|இது (?:உங்களுக்கு )?உதவும்|je, (?:kuna|unahitaji|ungependa)|natumaini)"
)
# Words of a source that may become such an offer in other words
OFFERED = (
    r"(?<!\w)(?:you|your|help|need|know|let|ask|tell|hope|questions?|wants?|like|free|happy|glad|else|more|us|me|i|thanks?)"
    r"(?!\w)"
)
ASKER = r"(?:user|human|usuario|usuário|utilisateur|utente|benutzer|nutzer|mtumiaji|பயனர்|उपयोगकर्ता|వినియోగదారు)"
ANSWERER = r"(?:(?:ai\s)?assistant|ai|bot|model|asistente|assistente|assistent|msaidizi|உதவியாளர்|सहायक|సహాయకుడు)"
TURN = (
    rf"(?:[*_#]{{0,4}}(?:{ASKER}|(?!model){ANSWERER}|system)"
    r"[*_]{0,3}\s?[:：]|\[(?:user|assistant|system)\])"
)
