"""What chat models say around an answer and in place of one, as the judge sees it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_xling.generation.filters import FilterConfig, Judge
from hf_xling.generation.languages import LANGUAGES, Language
from hf_xling.generation.records import Completion

SOURCE = "A dog runs in the park."
ANSWERS = {
    "es": "Un perro corre por el parque.",
    "fr": "Un chien court dans le parc.",
    "en": "Through the park goes a hound.",
    "ta": "ஒரு நாய் பூங்காவில் ஓடுகிறது.",
    "hi": "एक कुत्ता पार्क में दौड़ता है।",
    "sw": "Mbwa anakimbia kwenye bustani.",
}
SPANISH, FRENCH = Language("es", "Spanish"), Language("fr", "French")
PREAMBLES = {
    "es": [
        "La traducción al español es: {}",
        "Traducción: {}",
        "**Traducción:** {}",
        "En español: {}",
        "Spanish: {}",
        "¡Claro! Aquí está la traducción:\n\n{}",
        "Aquí tienes la traducción al español: {}",
        "Claro, aquí está la frase traducida: {}",
        "The Spanish version of the English sentence would be: {}",
        'The Spanish translation of the sentence is "{}".',
        "{}\n\nNota: es una traducción literal.",
        "{}\n\n¿Hay algo más en lo que pueda ayudarte?",
        "{} ¿Necesitas algo más?",
        "{} Espero que esto te ayude.",
        "{} (He cambiado la palabra perro.)",
        "Asistente: {}",
        "Opción 1: {}\nOpción 2: Por el parque corre un perro.",
    ],
    "fr": [
        "Voici la traduction : {}",
        "Bien sûr ! Voici la traduction en français :\n\n{}",
        "Traduction : {}",
        "**Traduction :** {}",
        "En français : {}",
        "La traduction de la phrase est : {}",
        "« {} »",
        "{}\n\nRemarque : c'est une traduction littérale.",
        "{}\n\nN'hésitez pas à me demander autre chose.",
        "{} Y a-t-il autre chose ?",
        "{}\n\nJ'espère que cela vous aide.",
        "Assistant : {}",
    ],
    "en": [
        "Here is a paraphrase of the sentence:\n\n{}",
        "Sure! Here's the rewritten sentence:\n{}",
        "Sure! Here’s a rephrased version of the sentence: {}",
        "Sure, I'd be happy to help! Here is the paraphrased sentence:\n\n{}",
        "Certainly!\n\n{}",
        "Sure thing! Here you go:\n\n{}",
        "Here is the sentence in different words. Here is the paraphrase: {}",
        "Here are a few possible ways to say it:\n\n{}",
        "I've rewritten the sentence as follows:\n\n{}",
        "The paraphrased sentence is:\n{}",
        "A possible paraphrase of the sentence is: {}",
        "Here is the paraphrased sentence.\n\n{}",
        "Here is a one-sentence summary of the text: {}",
        "Here is the sentence with words replaced by synonyms: {}",
        "Paraphrase: {}",
        "**Paraphrase:** {}",
        "### Paraphrased sentence:\n{}",
        "Shuffled sentence: {}",
        "Answer: {}",
        "assistant\n\nHere is the paraphrase: {}",
        "Original: A dog runs in the park.\nParaphrase: {}",
        "A dog runs in the park.\n\n{}",
        '"{}"',
        "“{}”",
        "**{}**",
        'Rewritten sentence: "{}"',
        "{}\n\nNote: I changed the order of the words.",
        "{}\n\n(Note: the meaning is the same.)",
        '{}\n\nExplanation: "runs" became "goes".\n\nLet me know if you need more.',
        '{}\n\nI replaced "dog" with a synonym.',
        "{}\n\nThis paraphrase keeps the meaning.",
        "{}\n\nOr\n\nThe hound is in the park.",
        'Here is the paraphrase:\n\n"{}"\n\nNote: I changed the order.',
        # Of small models
        "Here you go: {}",
        "In other words: {}",
        "Here is my attempt: {}",
        "I'd say: {}",
        "I think it would be: {}",
        "As you requested, here is the paraphrase: {}",
        "Hi there! Here's the paraphrase: {}",
        "Great question! {}",
        "Hello! {}",
        "I'd be happy to help! {}",
        "Yes. {}",
        "# Answer\n{}",
        "Answer\n\n{}",
        "AI Assistant: {}",
        "User: Thanks\nAssistant: {}",
        "Human: Reword: A dog runs in the park.\n\nAssistant: {}",
        "system\nYou are helpful.\nuser\nA dog runs in the park.\nassistant\n{}",
        "A dog runs in the park. -> {}",
        "A dog runs in the park. => {}",
        "A dog runs in the park.\n→ {}",
        "Original: A dog runs in the park. Paraphrase: {}",
        "~~~\n{}\n~~~",
        "__{}__",
        "*{}*",
        "First version: {}\nSecond version: A hound is running through the park.",
        "{} — I changed the order of the words.",
        "{}\n\nHow does that sound?",
        "{}\n\nIs this okay?",
        "{}\n\nThank you!",
        "{}\n\nThanks for your question.",
        "{}\nuser\nAnother one",
        "{}\n\n[USER] another",
        "The sentence is rephrased to preserve its meaning: {}",
        "The sentence is rephrased to preserve the original meaning.\n\n{}",
        "The original sentence can be paraphrased like this: {}",
        "The rephrased version of the given text would be: {}",
        "This sentence has been rewritten to be clearer:\n{}",
        "I've summarized the text in one sentence: {}",
        "I have rephrased the sentence for you: {}",
        "I rewrote it as follows: {}",
        "I would paraphrase the sentence as: {}",
        'I would paraphrase the sentence as "{}"',
        "Let me rephrase that for you.\n\n{}",
        "You could rephrase it as: {}",
        'It can be rewritten as: "{}"',
        "One way to say it is: {}",
        "Another way of saying this could be: {}",
        "You can say: {}",
        "Sure! {}",
        "Certainly. {}",
        "Sure, here it is:\n\n{}",
        "To paraphrase: {}",
        "Assistant: {}",
        "**Assistant:** {}",
        "AI: {}",
        "User: A dog runs in the park.\nAssistant: {}",
        "Q: A dog runs in the park.\nA: {}",
        "Final answer: {}",
        "### Paraphrase\n\n{}",
        "**Paraphrased Sentence**\n\n{}",
        "## Rewritten sentence\n{}",
        "**Paraphrased sentence:** {}",
        "---\n{}\n---",
        "```\n{}\n```",
        "```text\n{}\n```",
        "```{}```",
        "```plaintext\n{}",
        "{}\n```",
        "Here is the paraphrased sentence:\n\n```\n{}\n```\n\nLet me know if you need more!",
        "> {}",
        "1. {}",
        "- {}",
        "1. {}\n2. A hound is running through the park.\n3. In the park, a hound runs.",
        "1) {}\n2) A hound is running through the park.",
        "- {}\n- A hound is running through the park.",
        "a) {}\nb) A hound is running through the park.",
        "Option 1: {}\nOption 2: A hound is running through the park.",
        "**Option 1:** {}\n\n**Option 2:** A hound is running through the park.",
        "Version 1: {}\nVersion 2: A hound is running through the park.",
        "Here are three ways to paraphrase it:\n\n1. {}\n2. A hound is running through the park.",
        "{} (I changed dog to hound and runs to goes.)",
        "{} (I changed dog to hound",
        '{} (Changed "dog" to "hound")',
        "{} (woman changed to lady)",
        "{} (Dog -> hound)",
        "{} [runs → goes]",
        '{} (Used "hound" here)',
        "{}\n\nRationale: shorter.",
        "{}\n**Tone:** neutral",
        "{}\n\nConfidence: 95%",
        "{} Does this work for you?",
        "{}\n\nAnything else?",
        "{}\n\nYou're welcome!",
        "{}\n\n[End of response]",
        "[1] {}\n[2] A hound is running through the park.",
        "#1: {}\n#2: A hound is running through the park.",
        "1: {}\n2: A hound is running through the park.",
        "i. {}\nii. A hound is running through the park.",
        "① {}\n② A hound is running through the park.",
        "1️⃣ {}\n2️⃣ A hound is running through the park.",
        "Sentence 1: {}\nSentence 2: A hound is running through the park.",
        "Here's one way to put it: {}",
        "Here are two ways you could say this: {}",
        "Output sentence: {}",
        "Paraphrase - {}",
        "I think the best paraphrase is: {}",
        "My version: {}",
        "New sentence - {}",
        "(Paraphrase) {}",
        "{} — paraphrased",
        "Text: {}",
        "{}\n\n**Explanation**\nI changed dog.",
        "{}\n\n- dog → hound\n- runs → goes",
        "{}\n\nReplaced dog with hound.",
        "{}\n\nHappy to help!",
        "{} Want another?",
        "First: {}\nSecond: A hound is running through the park.",
        "Output 1: {}\nOutput 2: A hound is running through the park.",
        "[{}]",
        "({})",
        "Please find the version below.\n\n{}",
        "As requested:\n\n{}",
        "Here goes:\n{}",
        "Absolutely! I can do this task.\n\n{}",
        "This is what I have for you:\n\n{}",
        "Paraphrase => {}",
        "**Rewritten sentence** → {}",
        'You could say "{}" instead.',
        "I would write “{}” here.",
        "Sure! Let me help you with that. {}",
        "Übersetzung: {}",
        "Antwort: {}",
        "Hier ist die Umformulierung: {}",
        "Traduzione: {}",
        "Ecco la riformulazione: {}",
        "Tradução: {}",
        "Aqui está a tradução: {}",
        "అనువాదం: {}",
        "సమాధానం: {}",
        # What is cut off is never the answer
        "Paraphrase\n---\n{}",
        "Paraphrase\n{}",
        "Sure\n---\n{}",
        "Sure!\n---\n{}\n---",
        "**Paraphrase**\n\n---\n\n{}",
        "Words: 20\nParaphrase: {}",
        "Length: 20\nTone: dry\nAnswer: {}",
        "Original\nA dog runs in the park.\nParaphrase\n{}",
        "Original sentence\nA dog runs in the park.\n\nParaphrased sentence\n{}",
        "A dog runs in the park.\n---\n{}",
        "System: You rewrite.\nUser: A dog runs in the park.\nAssistant: {}",
        "Usuario: hola\nAsistente: {}",
        "Hounds are dogs, and parks are green.\n\nParaphrase: {}",
        "It is a dog that goes.\n\n### Final paraphrase\n{}",
        "Benutzer: hallo\nAssistent: {}",
        "{} [Note: literal paraphrase]",
        "{}\n(I replaced the verb and moved the place to the front.)",
        "{} (This version keeps the original meaning.)",
        "{} Note: I kept the meaning.",
        "{} I changed the structure of the sentence.",
        "{} The sentence is rephrased to preserve the original meaning.",
        "{} This paraphrase keeps the meaning of the original.",
        "{}\n\nThe sentence is rephrased to preserve the original meaning.",
        "{}\nIn this version, the word order is changed.",
        "{}\n\nKey changes:\n- “dog” became “hound” (synonym)\n- new word order",
        "{}\n\nIs there anything else I can help you with?",
        "{} Is there anything else I can do for you?",
        "{} Let me know if you need anything else!",
        "{}\n\nLet me know if you'd like another version.",
        "{}\n\nFeel free to ask for more.",
        "{}\nWould you like me to try again?",
        "{} I hope this helps!",
        "{}\n\nHope this helps! 😊",
        "{}\n\nIf you need any further help, just ask.",
        "{}\n\nUser: A cat sleeps.\nAssistant: A feline is asleep.",
        "{}\nHuman: Thank you.",
        "{}\n\n**User:** And this one?",
        "{}\n\nOriginal: A cat sleeps.\nParaphrase: A feline is asleep.",
        "{}\n\nInput: A cat sleeps.",
        "{}\n\nOr, The hound is in the park.",
        "{}\n\nAlternatively: The hound is in the park.",
        "{}\n\nAnother option: The hound is in the park.",
        "{}\n\n---\n\nThe hound was a dog.",
    ],
    "ta": [
        "Translation (Tamil): {}",
        "Tamil: {}",
        "In Tamil: {}",
        "Here is the sentence in Tamil: {}",
        "Sure! Here is the translation of the sentence into Tamil:\n\n{}",
        'The translation of "A dog runs in the park." into Tamil is:\n\n{}',
        "English: A dog runs in the park.\nTamil: {}",
        "தமிழ்: {}",
        "தமிழ் மொழிபெயர்ப்பு:\n{}",
        "இதோ தமிழ் மொழிபெயர்ப்பு: {}",
        "பதில்: {}",
        "{} (Oru nāy pūṅkāvil ōṭukiṟatu.)",
        "{}\n[Oru naai poongaavil odugiradhu]",
        "{}\n\n(Transliteration: Oru nāy pūṅkāvil ōṭukiṟatu.)",
        "{}\n\nகுறிப்பு: இது நேரடி மொழிபெயர்ப்பு.",
        "The Tamil version of the English sentence would be: {}",
        'The Tamil version of the English sentence would be "{}"',
        'In Tamil, this would be: "{}"',
        "In Tamil, the sentence is: {}",
        "In Tamil, you would say: {}",
        "I've translated the sentence into Tamil: {}",
        "{} (Translation: A dog runs in the park.)",
        "{} (literal: one dog in park runs)",
        "{}\n\nThis translates to: A dog is running.",
        "{}\nEnglish translation: A dog runs in the park.",
        "{} Is there anything else I can help with?",
        "{}\n\nவேறு ஏதாவது உதவி வேண்டுமா?",
        "{} குறிப்பு: இது நேரடி மொழிபெயர்ப்பு.",
        "உதவியாளர்: {}",
        "இதன் தமிழாக்கம்: {}",
        "{} - This is the Tamil translation.",
        "1. {}\n2. பூங்காவில் ஒரு நாய் ஓடுகிறது.",
        "விருப்பம் 1: {}\nவிருப்பம் 2: பூங்காவில் ஒரு நாய் ஓடுகிறது.",
        "**தமிழ் மொழிபெயர்ப்பு:**\n\n{}",
        "```\n{}\n```",
    ],
    "hi": [
        "हिंदी: {}",
        "हिंदी अनुवाद: {}",
        "ज़रूर! यहाँ अनुवाद है: {}",
        "यहाँ वाक्य का हिंदी अनुवाद है:\n\n{}",
        "{}\n\nनोट: यह शाब्दिक अनुवाद है।",
        "The Hindi version of this sentence is: {}",
        "{} नोट: यह शाब्दिक अनुवाद है।",
        "{}\n\nक्या मैं आपकी और मदद कर सकता हूँ?",
        "{} (Note: a literal translation)",
        "सहायक: {}",
        "विकल्प 1: {}\nविकल्प 2: पार्क में एक कुत्ता दौड़ रहा है।",
    ],
    "sw": [
        "Kiswahili: {}",
        "Tafsiri ya Kiswahili: {}",
        "Hapa kuna tafsiri ya sentensi: {}",
        "Bila shaka! Hii hapa ni tafsiri:\n\n{}",
        "{}\n\nMaelezo: “bustani” ni “park”.",
    ],
}


def judged(source, text, code="en", task=None):
    task = task or ("paraphrase" if code == "en" else "translate")
    language = {**LANGUAGES, "es": SPANISH, "fr": FRENCH}[code]
    return Judge(FilterConfig(), task, "", LANGUAGES["en"], language)(source, Completion(text, "eos_token"))


@pytest.mark.parametrize("code, form", [(code, form) for code, forms in PREAMBLES.items() for form in forms])
def test_a_preamble_is_stripped_and_kept_beside(code, form):
    verdict = judged(SOURCE, form.format(ANSWERS[code]), code)
    assert verdict.text == ANSWERS[code] and verdict.failed == ()
    before, _, behind = form.partition("{}")
    assert verdict.scores["preamble"] == " … ".join(filter(None, (before.strip(), behind.strip())))


@pytest.mark.parametrize(
    ("source", "code", "answer"),
    [
        ("Here is the problem: there is no water.", "en", "Here is the issue: water is lacking."),
        ("The problem is that there is no water.", "en", "Here is the problem: water is lacking."),
        ("Here is the summary: it failed.", "en", "Here is the summary of it: a failure."),
        ("Tamil: an old language.", "en", "Tamil: a language of great age."),
        ("Tip: drink much water.", "en", "Answer: drinking water helps."),
        ("Translation: an act.", "ta", "மொழிபெயர்ப்பு: ஒரு செயல்."),
        ("Tamil Nadu: Chennai is the capital.", "ta", "தமிழ்நாடு: சென்னை தலைநகரம்."),
        ("Tamil Nadu has one capital.", "ta", "தமிழ்நாடு: ஒரே தலைநகரம்."),
        ("Note: bring water.", "ta", "குறிப்பு: தண்ணீர் கொண்டு வாருங்கள்."),
        ("Two dogs run.\n\nNote: they are big.", "en", "A pair of hounds runs.\n\nNote: their size is great."),
        ("A day.\n\nHopefully it helps.", "en", "It was one day.\n\nI hope this helps them."),
        ('"Go away," he said.', "en", '"Leave me alone"'),
        ("“Go away”", "en", "“Leave me alone”"),
        ("Many dogs bark.", "en", "'Tis the dogs' bark'"),
        ("He says go and she says no.", "en", '"Go" is what he says and she says "no"'),
        ("Yes, I will come.", "en", "Sure, count on me."),
        ("The time is half past ten.", "en", "It is 10:30 now."),
        ("Buy some milk and eggs.", "en", "To buy:\n- milk\n- eggs"),
        ("A man shouts that they must leave.", "en", "A man shouts: leave!"),
        ("He works for UNESCO in Chennai.", "ta", "அவர் சென்னையில் யுனெஸ்கோவில் (UNESCO) பணிபுரிகிறார்."),
        ("He works for UNESCO.", "ta", "அவர் பணிபுரிவது யுனெஸ்கோவில் (UNESCO)"),
        ("He was changed to the night shift.", "en", "They moved him (changed to the night shift)"),
        ("Who wants another piece?", "en", "Is there anybody here? Want another piece?"),
        ("A man uses a tool.", "en", "A hammer is in his hand (used for nails)"),
        ("Buy milk and eggs. Then go.", "en", "Buy these.\nMilk: two. Eggs: six. Then go."),
        ("He says you could leave now.", "en", 'He says "you could leave" to us.'),
        ("The translation is a hard job.", "en", "Translation - a job that is hard."),
        ("Write to me soon.", "en", 'Send me a note with "soon" on it.'),
        ("A man told us to leave.", "en", "A man said to us:\nPlease leave."),
        ("நான் உன்னை நேசிக்கிறேன்.", "en", "I love you.\n\nI really do."),
        ("Fold it into two parts.", "en", "Fold it (into two parts)."),
        ("A leads to B.", "en", "(A) is the cause of B (as said)"),
        # Labels of the source's own words
        ("The user asks the system a question.", "en", "User: a question for the system."),
        ("English is an old language.", "en", "English: an old language."),
        ("He sings in English.", "en", "In English: he sings."),
        ("The result is unclear.", "en", "Result: nobody can see it."),
        ("A new model is out.", "en", "**Model:** a new one is out."),
        ("Two answers were right.", "en", "Answer: a pair of them was right."),
        ("There are two options for lunch.", "en", "Option 1: soup. Option 2: bread."),
        ("There are two options for lunch.", "en", "Option 1: soup with rice.\nOption 2: bread with butter."),
        ("Assistants help users.", "en", "They help. User: one who is helped."),
        # Sources that look like this themselves
        ("1. Open the lid. 2. Pour the water.", "en", "1. Take off the lid. 2. Put water in."),
        ("1. Open the lid.\n2. Pour the water.", "en", "1. Take off the lid.\n2. Put water in."),
        ("- Go home", "en", "- Return to your house"),
        ("-Home!", "en", "- Back to your house!"),
        (
            "I changed the sentence because I did not like its words.",
            "en",
            "Its words displeased me. I changed the sentence.",
        ),
        ("I changed my shirt. I was wet.", "en", "Being wet, I put on another shirt. I changed it."),
        ("He was late. She used the time to read.", "en", "As he was late, she read. I used it too."),
        ("User: hello\nAssistant: hi", "en", "User: good day\nAssistant: good day to you"),
        ("User: how are you?", "en", "User: are you well?"),
        ("Ann: hello. Human: who is it?", "en", "Ann says hello.\nHuman: who is there?"),
        ("Tell me whether you will come. I wait.", "en", "I am waiting. Let me know if you come."),
        ("Call me when you need a hand.", "en", "Ring me if that is so. Let me know if you need help."),
        ("I can help. Ask me anything.", "en", "Help is here. Feel free to ask me."),
        ("Is that all?", "en", "Is there anything else?"),
        ("Use ``` for code.", "en", "```code``` is written so"),
        ("The sentence was hard to read.", "en", "The sentence was difficult to translate."),
        ("The text is short.", "en", "The text is summarized."),
        ("The judge gave a sentence of five years.", "en", "The sentence of the judge was five years."),
        ("A man (the baker) smiles.", "en", "The baker (a man) has a smile (a word of joy)"),
        ("Many men work here (in the mill).", "en", "The workers are many (in the mill)"),
        ("The company changed its name.", "en", "The firm (formerly Twitter) has another name."),
        ("Certainly, he is right.", "en", "Certainly! He has it right."),
        ("Sure, it will work.", "en", "Sure! That is going to work. Wait."),
        ("Here is the translation of the poem.", "en", "The poem's translation is here."),
        ("The French translation of the book is good.", "en", "The book reads well in French."),
        ("The company's summary of the year is out.", "en", "A summary of the year was published."),
        ("He rewrote the law. It passed.", "en", "It was rewritten by him. It passed."),
        ("Buy milk, eggs and bread now.", "en", "1. milk\n2. eggs\n3. bread"),
        ("There were three of them on the list.", "en", "3 of them were listed."),
        ("At 1. FC Union they play well.", "en", "1. FC Union plays well."),
        ("A star is born.", "en", "**Stars** are being **born**"),
        ('{"a": "b"}', "en", '{"a": "c"}'),
        ("One.\n---\nTwo.", "en", "First.\n---\nSecond."),
        ("The question is open: who did it?", "en", "Question: who did it?"),
        ("I like it. Thanks.", "en", "I am fond of it. Thank you."),
        ("வணக்கம்.\n\nநலமா?", "en", "Hello.\n\nHow are you?"),
        ("ஆம்\n\nசிரிப்பு ஒரு மருந்து", "en", "yes\n\nlaughter is a medicine"),
        ("It runs. NOTE : it is old.", "en", "It works. Note: it has been around."),
        ("Hello, friends.", "en", "Hello! You are my friends."),
        ("A -> B", "en", "A -> C"),
        ("That is, in other words: no.", "en", "In other words: no, it is."),
        ("He said that he would go. How is that? It is good.", "en", "He wants to go. How is that to be taken? Well."),
        ("The answer is no.", "en", "No is the answer"),
        ("*** is a mark", "en", "*a mark*"),
        ("அமைச்சர்: இதென்ன அரசே?", "en", "Minister: King! What is this? A war?"),
        ("¿Hay algo más?", "es", "¿Hay alguna otra cosa?"),
        ("What did he say? He said no.", "fr", "Qu'a-t-il dit ? Il a dit : non."),
        ("The dog is here, and the cat is there.", "fr", "Voici le chien, et voilà le chat."),
    ],
)
def test_what_belongs_to_the_text_stays(source, code, answer):
    verdict = judged(source, answer, code)
    assert (verdict.text, verdict.scores["preamble"]) == (answer, None)


@pytest.mark.parametrize(
    "text",
    [
        f'{{"paraphrase": "{ANSWERS["en"]}"}}',
        f'{{ "text" : "{ANSWERS["en"]}" }}',
        f'["{ANSWERS["en"]}"]',
        f"['{ANSWERS['en']}']",
        f"{{'paraphrase': '{ANSWERS['en']}'}}",
    ],
)
def test_an_answer_is_taken_out_of_its_json(text):
    verdict = judged(SOURCE, text)
    assert (verdict.text, verdict.failed) == (ANSWERS["en"], ())


@pytest.mark.parametrize(
    ("source", "text", "kept"),
    [
        ("The user asks for it.", "Answer: It is asked for by the user.", "It is asked for by the user."),
        ("He ran out of the house.", "Output: He left the house in haste.", "He left the house in haste."),
        ("The answer is no.", "Answer\n\nIt has to be no.", "It has to be no."),
        ("English is an old language.", "Paraphrase: English: an old language.", "English: an old language."),
    ],
)
def test_a_label_of_other_words_than_the_source_s_is_taken_off(source, text, kept):
    verdict = judged(source, text)
    assert (verdict.text, verdict.failed) == (kept, ())


def test_of_two_preambles_the_source_s_own_stays():
    verdict = judged(
        "Here is the summary: it failed.", "Sure! Here is the paraphrase:\n\nHere is a summary: a failure."
    )
    assert verdict.text == "Here is a summary: a failure."
    assert verdict.scores["preamble"] == "Sure! Here is the paraphrase:"


@pytest.mark.parametrize(
    "text",
    [
        "The sentence is rephrased to preserve the original meaning.",
        "The sentence has been rewritten to keep its structure",
        "I've rephrased the sentence while keeping its meaning.",
        "This paraphrase keeps the meaning of the original sentence.",
        "Sure! I have translated the sentence.",
        "Let me rephrase the sentence:",
        "```\n```",
    ],
)
def test_talk_about_the_sentence_and_nothing_else_is_no_answer(text):
    assert judged(SOURCE, text).reason in ("preamble", "empty")


@pytest.mark.parametrize("text", ["Here is the paraphrase:", "Paraphrase:", "**Paraphrase:**\n\n…", "Translation: ''"])
def test_a_preamble_and_nothing_behind_it_is_no_answer(text):
    verdict = judged(SOURCE, text)
    assert verdict.reason == "preamble"
    assert (verdict.text, verdict.scores["preamble"]) == (text, None)


PIECES = [
    *("Sure! ", "Here is the translation:", "Paraphrase: ", "Tamil:", "A dog runs.", "\n\nNote: so", "\n\nOr\n", "\n"),
    *('"', "“", "”", "**", "'", " ", ":", "assistant\n", "###", "Answer:", "தமிழ்: ", "I hope this helps", "நாய்", "…"),
]
TALK = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=8).map("".join)


@given(TALK, TALK, st.sampled_from(["en", "ta"]))
def test_what_is_left_has_no_other_preamble(source, answer, code):
    first = judged(source, answer, code)
    again = judged(source, first.text, code)
    assert again.text == first.text and again.scores["preamble"] is None
    assert first.text in answer


@pytest.mark.parametrize(
    "text",
    [
        "I cannot fulfill your request. I'm just an AI.",
        "I can't help with that.",
        "I’m sorry, but I can’t assist with that request.",
        "Sorry, I can't do that.",
        "I'm afraid I can't help you with this one.",
        "As an AI language model, I cannot rewrite this.",
        "I am unable to provide a paraphrase of this.",
        "I apologize, but I cannot create explicit content.",
        "I won't be able to paraphrase that.",
        "I'm happy to help! However, there is no sentence provided to paraphrase.",
        "It seems like there is no sentence provided.",
        "It appears that the sentence was not provided.",
        "Please provide the sentence you'd like me to paraphrase.",
        "Unfortunately, I cannot translate this text.",
        "மன்னிக்கவும், என்னால் இதை மொழிபெயர்க்க முடியாது.",
        "என்னால் இந்த கோரிக்கையை நிறைவேற்ற முடியாது.",
        "ஒரு AI மொழி மாதிரியாக, என்னால் இதைச் செய்ய முடியாது.",
        "माफ़ कीजिए, मैं इसमें आपकी मदद नहीं कर सकता।",
        "मैं इस अनुरोध को पूरा नहीं कर सकता।",
        "एक AI भाषा मॉडल के रूप में, मैं राय नहीं दे सकता।",
        "Samahani, siwezi kukusaidia na hilo.",
    ],
)
def test_a_refusal_is_no_answer(text):
    verdict = judged(SOURCE, text)
    assert verdict.reason == "refusal" and verdict.scores["refusal"] is True


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("I can't help you with that.", "I cannot help you there."),
        ("It is impossible for me to answer.", "I cannot answer."),
        ("I'm an AI, and I talk.", "I am an AI and talking is what I do."),
        ("She could not stop laughing.", "I can't help but laugh."),
        ("என்னால் பதிலளிக்க முடியாது.", "I cannot answer."),
        ("मैं मदद नहीं कर सकता।", "I can't help."),
        ("Siwezi kujibu.", "I cannot answer."),
        ("My work is to build AI.", "I am an AI engineer."),
        ("She has a job in a shop.", "As a shop assistant, she works."),
        ("Text me.", "Please send me the text."),
        ("A man apologises.", "மன்னிக்கவும் என்று ஒரு மனிதன் சொல்கிறான்."),
        ("The book is empty.", "There is no text in the book."),
    ],
)
def test_what_people_say_is_no_refusal(source, text):
    assert judged(source, text).scores["refusal"] is False
